#!/usr/bin/env bash
# The backup drill: dump the database, restore the dump, and compare both, table by table.
#
# A backup that was never restored is a hope. By default the dump goes into a new database beside the real one, which
# is dropped again; the service may run, because dump and comparison see the same snapshot. With --replace the
# database itself is dropped and restored: stop the service first, and give --dump so that the dump outlives a fault.
#
#   DATABASE_URL=postgresql://… deploy/drill.sh [--dump FILE] [--replace]
#
# Needs psql and pg_dump of the server's version or newer, and a user that may create databases.
# Exit code: 0 both are the same · 1 they differ, or a step failed · 2 wrong usage.

set -euo pipefail

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

dump=""
is_replacing=""
while [ $# -gt 0 ]; do
    case "$1" in
        --dump) dump="${2:-}"; [ -n "$dump" ] || usage; shift 2 ;;
        --replace) is_replacing=1; shift ;;
        *) usage ;;
    esac
done
: "${DATABASE_URL:?name the database: DATABASE_URL=postgresql://user:password@host:5432/name}"

work="$(mktemp -d)"
dump="${dump:-$work/backup.sql}"
options=""
case "$DATABASE_URL" in *\?*) options="?${DATABASE_URL#*\?}" ;; esac
plain="${DATABASE_URL%%\?*}"
server="${plain%/*}"
name="${plain##*/}"
[ -n "$name" ] && [ "$server" != "postgresql:/" ] || usage
[ -n "$is_replacing" ] && copy="$name" || copy="${name}_drill_$$"
maintenance="$server/postgres$options"
restored="$server/$copy$options"

say() { printf '%s\n' "$*" >&2; }
query() { psql --no-psqlrc -qAtX -v ON_ERROR_STOP=1 "$@"; }

tidy_up() {
    rm -rf "$work"
    if [ -z "$is_replacing" ]; then
        query "$maintenance" -c "DROP DATABASE IF EXISTS \"$copy\" WITH (FORCE)" || true
    fi
}
trap tidy_up EXIT

# One line a table: its name, its rows, and a checksum over all of them that no order changes.
sums_sql="SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM %s t;',
    c.relname, c.oid::regclass) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
    AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname"

# Dump and sums come out of one snapshot, whoever writes meanwhile: a session holds it open while both are taken.
coproc HOLDER { query "$DATABASE_URL" 2>"$work/holder.log"; }
printf '%s\n' "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TIME ZONE 'UTC'; SELECT pg_export_snapshot();" \
    >&"${HOLDER[1]}"
if ! read -r -t 30 snapshot <&"${HOLDER[0]}"; then
    cat "$work/holder.log" >&2
    exit 1
fi
say "dumping $name"
pg_dump --snapshot="$snapshot" "$DATABASE_URL" >"$dump"
{
    printf '%s\n' "$sums_sql" '\gexec'
    printf '%s\n' "COMMIT;" '\q'
} >&"${HOLDER[1]}"
cat <&"${HOLDER[0]}" >"$work/before"
wait "${HOLDER_PID:-}" 2>/dev/null || true
[ -s "$work/before" ] || { cat "$work/holder.log" >&2; say "the database has no tables"; exit 1; }
pg_dump --schema-only "$DATABASE_URL" >"$work/schema-before"

if [ -n "$is_replacing" ]; then
    say "dropping $name"
    query "$maintenance" -c "DROP DATABASE \"$name\" WITH (FORCE)"
fi
say "restoring into $copy"
query "$maintenance" -c "CREATE DATABASE \"$copy\" TEMPLATE template0"
query "$restored" <"$dump" >/dev/null
printf '%s\n' "SET TIME ZONE 'UTC';" "$sums_sql" '\gexec' | query "$restored" >"$work/after"
pg_dump --schema-only "$restored" >"$work/schema-after"

# Newer releases of pg_dump put a random word into each dump.
sed -i '/^\\\(un\)\{0,1\}restrict /d' "$work/schema-before" "$work/schema-after"
is_same=1
diff "$work/before" "$work/after" >"$work/differences" || is_same=""
diff "$work/schema-before" "$work/schema-after" >>"$work/differences" || is_same=""
awk -F '|' '{ printf "%-24s %12d rows  checksum %s\n", $1, $2, $3 }' "$work/after"
if [ -z "$is_same" ]; then
    cat "$work/differences" >&2
    say "the restored database is NOT what was dumped (< dumped, > restored)"
    exit 1
fi
say "the same: $(wc -l <"$work/after") tables, schema and rows"
