#!/usr/bin/env bash
# Dumps the database into BACKUP_DIR, reads the dump back, and only then removes dumps that are too old.
# The connection is in PGHOST, PGUSER, PGDATABASE and PGPASSWORD. A dump appears under its name when it is complete.
set -euo pipefail

: "${BACKUP_DIR:?}" "${RETENTION_DAYS:?}" "${KEEP_AT_LEAST:?}"
name=$PGDATABASE-$(date -u +%Y%m%dT%H%M%SZ).dump
partial=$BACKUP_DIR/.$name.partial
trap 'rm -f "$partial"' EXIT

pg_dump --format=custom --no-owner --no-privileges --lock-wait-timeout=60s --file="$partial"
entries=$(pg_restore --list "$partial" | grep -c -v '^;' || true)
if [ "$entries" -eq 0 ]; then
    echo "the dump holds nothing; older ones are left alone" >&2
    exit 1
fi
pg_restore --file=/dev/null "$partial" # reads every block, so that a damaged file is found today
sync "$partial"
mv "$partial" "$BACKUP_DIR/$name"
sync "$BACKUP_DIR"
echo "$name: $entries entries, $(stat -c %s "$BACKUP_DIR/$name") bytes"

# Newest first; the names sort by time.
kept=0
find "$BACKUP_DIR" -maxdepth 1 -name "$PGDATABASE-*.dump" -printf '%f\n' | sort -r | while read -r dump; do
    kept=$((kept + 1))
    if [ "$kept" -gt "$KEEP_AT_LEAST" ] && [ -n "$(find "$BACKUP_DIR/$dump" -mtime +"$((RETENTION_DAYS - 1))")" ]; then
        rm "$BACKUP_DIR/$dump"
        echo "$dump: removed, older than $RETENTION_DAYS days"
    fi
done
find "$BACKUP_DIR" -maxdepth 1 -name '.*.partial' -mtime +1 -delete # of runs that were killed
