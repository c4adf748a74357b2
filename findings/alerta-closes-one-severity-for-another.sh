#!/usr/bin/env bash
# Alerta 9.1.0 (PyPI), by its webhook for Alertmanager: an alert that fires as `warning` and as `critical` on one instance
# is two alerts in Alertmanager, and one in Alerta, which tells alerts apart by environment, resource and event. When the
# warning resolves, Alerta closes the one it has, and sets its severity to `normal`: what still fires as critical is
# closed, until Alertmanager repeats it (after `repeat_interval`, hours).
#
# So a closed alert of Alerta's does not tell that all its severities are over. Alert History's import takes the message
# that Alerta kept for the end of the severity which that message names, and of no other.
#
# Needs python3 with venv, PostgreSQL's programs (Debian: postgresql) and the network; as root it runs PostgreSQL as the
# user `postgres`. Takes twenty seconds. Exits 0 if that is so, 1 if not.
set -euo pipefail

programs=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
work=$(mktemp -d)
as_owner=()
[ "$(id -u)" -ne 0 ] || as_owner=(runuser -u postgres --)
clean_up() {
    "${as_owner[@]}" "$programs/pg_ctl" -D "$work/db/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work"

python3 -m venv alerta
alerta/bin/pip install --quiet --disable-pip-version-check alerta-server==9.1.0 psycopg2-binary==2.9.13

mkdir db
if [ "$(id -u)" -eq 0 ]; then chmod 711 "$work" && chown postgres db; fi
cd db
"${as_owner[@]}" "$programs/initdb" -D data -U postgres -A trust >/dev/null
"${as_owner[@]}" "$programs/pg_ctl" -D data -w -l log -o "-c listen_addresses='' -k $work/db" start >/dev/null
cd ..

cat >alertad.conf <<CONF
AUTH_REQUIRED = False
SECRET_KEY = 'none'
DATABASE_URL = 'postgresql://postgres@/postgres?host=$work/db'
CONF

cat >look.py <<'PYTHON'
import sys
from importlib.metadata import version

from alerta import create_app

client = create_app().test_client()


def send(severity, status):
    alert = {
        "status": status,
        "labels": {"alertname": "DiskFull", "instance": "db-1", "severity": severity},
        "annotations": {},
        "startsAt": "2026-01-31T10:00:00Z",
        "endsAt": "2026-01-31T10:05:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
    }
    answer = client.post("/webhooks/prometheus", json={"alerts": [alert]})
    assert answer.status_code == 201, answer.text
    alerts = client.get("/alerts").json["alerts"]
    print(f"{severity} {status}: Alerta has", *(f"{each['severity']} {each['status']}" for each in alerts))
    return [(each["severity"], each["status"]) for each in alerts]


print("Alerta", version("alerta-server"))
send("warning", "firing")
both = send("critical", "firing")
after = send("warning", "resolved")
is_so = both == [("critical", "open")] and after == [("normal", "closed")]
sys.exit(0 if is_so else "changed: expected one alert, which is closed while the critical one fires")
PYTHON
ALERTA_SVR_CONF_FILE="$work/alertad.conf" alerta/bin/python look.py
