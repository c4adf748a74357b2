#!/usr/bin/env bash
# Puts a dump of backup.sh in place of what the database holds, in one transaction: all of it, or nothing changes.
# BACKUP_FILE names a dump in BACKUP_DIR; empty: the newest. Stop the service first. The connection is in PGHOST,
# PGUSER, PGDATABASE and PGPASSWORD; the user must own the database, and be no superuser.
set -euo pipefail

: "${BACKUP_DIR:?}"
name=${BACKUP_FILE:-$(find "$BACKUP_DIR" -maxdepth 1 -name "$PGDATABASE-*.dump" -printf '%f\n' | sort | tail -n 1)}
if [ -z "$name" ] || [ ! -r "$BACKUP_DIR/$name" ]; then
    echo "there is no dump ${name:-of $PGDATABASE} in $BACKUP_DIR" >&2
    exit 1
fi
others=$(psql --no-psqlrc -qAtX -v ON_ERROR_STOP=1 -c "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'")
if [ "$others" -ne 0 ]; then
    echo "$others other connections are open: scale the service down to 0 first" >&2
    exit 1
fi

# Dropped by owner, not table by table: partitions made after the dump are not in its list. A dump that breaks off must
# not end in a commit: the last line is an error outside of data, and ends data inside of it.
{
    echo 'DROP OWNED BY CURRENT_USER CASCADE;'
    pg_restore --no-owner --no-privileges --file=- "$BACKUP_DIR/$name" || printf '\n\\.\nSELECT 1 / 0;\n'
} | psql --no-psqlrc --quiet --single-transaction -v ON_ERROR_STOP=1 --output=/dev/null
psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 -c 'ANALYZE'
echo "$name: restored"
