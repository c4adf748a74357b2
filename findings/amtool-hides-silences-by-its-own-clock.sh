#!/usr/bin/env bash
# amtool 0.25.0 (Debian 12: 0.25.0-1+b4) asks /api/v2/silences, which names the state of each silence, and does not look at
# it: `silence query` leaves out what has ended by the clock of the machine where amtool runs, and `--expired` leaves out
# all else. So a silence that its server calls active is not shown where the two clocks differ, or where the server answers
# for a past moment, and `silence query --expired` shows it as expired.
#
# So `amtool --alertmanager.url=http://alert-history/at/2026-11-27T03:00:00Z silence query` shows only those of that night
# that last until today; with `--expired` come the others. `-o json` shows the state, but leaves out the same.
#
# Needs apt-get, dpkg and python3; takes five seconds. Exits 0 if that is so, 1 if not.
set -euo pipefail

PACKAGE=prometheus-alertmanager=0.25.0-1+b4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get -o APT::Sandbox::User=root download -qq "$PACKAGE"
dpkg -x ./*.deb .
./usr/bin/amtool --version 2>&1 | head -1

cat >look.py <<'PYTHON'
"""Serves two silences that are active, as their server says, of which one ended in 2020; and lets amtool ask."""
import json, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

SILENCE = {
    "id": "7c1f0000-0000-4000-8000-000000000000",
    "status": {"state": "active"},
    "matchers": [{"name": "team", "value": "db", "isRegex": False, "isEqual": True}],
    "startsAt": "2020-01-01T00:00:00.000Z",
    "endsAt": "2020-01-01T02:00:00.000Z",
    "updatedAt": "2020-01-01T00:00:00.000Z",
    "createdBy": "ada",
    "comment": "upgrade",
}
LASTS = SILENCE | {"id": "7c1f0000-0000-4000-8000-000000000001", "endsAt": "2100-01-01T00:00:00.000Z"}
STATUS = {
    "cluster": {"status": "disabled", "peers": []},
    "config": {"original": ""},
    "uptime": "2020-01-01T00:00:00.000Z",
    "versionInfo": dict.fromkeys(("branch", "buildDate", "buildUser", "goVersion", "revision"), "") | {"version": "0.25.0"},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps([SILENCE, LASTS] if "/silences" in self.path else STATUS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()


def amtool(*words):
    url = f"--alertmanager.url=http://127.0.0.1:{server.server_address[1]}"
    done = subprocess.run(["./usr/bin/amtool", "silence", "query", *words, url], capture_output=True, text=True, check=True)
    print("amtool silence query", *words, "->", done.stdout.split() or "nothing")
    return done.stdout.strip()


is_so = amtool("-q") == LASTS["id"] and amtool("-q", "--expired") == SILENCE["id"]
is_so = is_so and [silence["id"] for silence in json.loads(amtool("-o", "json"))] == [LASTS["id"]]
sys.exit(0 if is_so else "changed: expected that an active silence is hidden, because it has ended by amtool's clock")
PYTHON
python3 look.py
