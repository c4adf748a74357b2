#!/usr/bin/env bash
# Makes the service's user and its database. The image runs it once, when the volume is empty, as the superuser.
# The service owns its database and can touch nothing else.
set -euo pipefail

psql --no-psqlrc --quiet --username postgres --dbname postgres -v ON_ERROR_STOP=1 \
    -v user="$SERVICE_USER" -v database="$SERVICE_DATABASE" <<'SQL'
\getenv password SERVICE_PASSWORD
CREATE ROLE :"user" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"user" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
