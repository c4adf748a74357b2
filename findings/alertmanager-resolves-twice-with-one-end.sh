#!/usr/bin/env bash
# Alertmanager 0.25.0 (Debian 12: 0.25.0-1+b4), fed by a pair of Prometheus of which one sees the end later, sends
# firing, resolved, firing, resolved; and the two `resolved` are the same to the byte in `startsAt` and `endsAt`.
# The first replica's resolve ends the alert although the other still fires; the other's next post opens it again with
# the *old* start; and the first replica, which sends its end again for 15 minutes, ends it again with the *old* end.
#
# So a receiver can't take (fingerprint, startsAt, endsAt) for the key of a resolve: who drops the second one as a double
# never closes the page that the second firing opened. Alert History asks whether it was told of a firing in between.
#
# Needs apt-get, dpkg and python3; takes ten seconds. Exits 0 if that is so, 1 if not.
set -euo pipefail

PACKAGE=prometheus-alertmanager=0.25.0-1+b4
work=$(mktemp -d)
alertmanager=
clean_up() {
    [ -z "$alertmanager" ] || kill "$alertmanager" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work"

apt-get -o APT::Sandbox::User=root download -qq "$PACKAGE"
dpkg -x ./*.deb .
./usr/bin/prometheus-alertmanager --version 2>&1 | head -1

cat >ports.py <<'PYTHON'
import socket

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(one.getsockname()[1] for one in sockets))
PYTHON
read -r port hook < <(python3 ports.py)

cat >alertmanager.yml <<YAML
route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}
receivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:$hook/'}]}]
YAML
./usr/bin/prometheus-alertmanager --config.file=alertmanager.yml --storage.path=data \
    --web.listen-address="127.0.0.1:$port" --cluster.listen-address= >log 2>&1 &
alertmanager=$!

cat >pair.py <<'PYTHON'
"""Posts as two replicas do, and waits for the webhook after each post."""
import json, queue, sys, threading, time, urllib.request
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer

port, hook = map(int, sys.argv[1:])
told = queue.Queue()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told.put(body["alerts"][0])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def post(starts_at, ends_at):
    alert = {"labels": {"alertname": "DiskFull"}, "startsAt": starts_at, "endsAt": ends_at}
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    for _ in range(100):
        try:
            urllib.request.urlopen(urllib.request.Request(url, json.dumps([alert]).encode(), headers), timeout=5)
            break
        except urllib.error.URLError:
            time.sleep(0.1)  # it is not up yet
    return told.get(timeout=20)


threading.Thread(target=HTTPServer(("127.0.0.1", hook), Handler).serve_forever, daemon=True).start()
now = datetime.now(timezone.utc)
at = lambda seconds: (now + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
a, b, a_ended, promised = at(-60), at(-57), at(-5), at(240)
seen = [post(a, promised), post(a, a_ended), post(b, promised), post(a, a_ended)]
for one in seen:
    print(one["status"], one["startsAt"], one["endsAt"])
is_so = [one["status"] for one in seen] == ["firing", "resolved", "firing", "resolved"]
is_so = is_so and len({one["startsAt"] for one in seen}) == 1 and seen[1]["endsAt"] == seen[3]["endsAt"]
sys.exit(0 if is_so else "changed: expected firing, resolved, firing, resolved with one start and one end")
PYTHON
python3 pair.py "$port" "$hook"
