#!/usr/bin/env bash
# Alertmanager 0.25.0 (Debian 12: 0.25.0-1+b4), and 0.34.0 as well, does not send a webhook again that was answered by 400:
# "notify retry canceled due to unrecoverable error". That holds until the next `group_interval` alone: the notification
# is not on record as sent, so the same alert is sent and refused again at each interval, for as long as it fires. If it
# resolves meanwhile, nothing is sent any more: the receiver is not told of an end whose firing it refused.
#
# So a receiver that answers 400 to what it will never take is asked again every five minutes by each Alertmanager, and one
# that is repaired is told late, and not after `repeat_interval`. Alert History answers 200 where it keeps a request of
# which only some alerts are wrong; `tests/e2e/situations.py` has the case among those that "why" has to explain.
#
# Needs apt-get, dpkg and python3; takes fifteen seconds. Exits 0 if that is so, 1 if not.
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
route: {receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 2s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:$hook/'}]}]
YAML
./usr/bin/prometheus-alertmanager --config.file=alertmanager.yml --storage.path=data \
    --web.listen-address="127.0.0.1:$port" --cluster.listen-address= >log 2>&1 &
alertmanager=$!

cat >look.py <<'PYTHON'
"""Refuses three times; then lets the alert resolve, and waits for two intervals more."""
import json, queue, sys, threading, time, urllib.error, urllib.request
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer

port, hook = map(int, sys.argv[1:])
sent = queue.Queue()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sent.put((time.monotonic(), body["status"]))
        self.send_response(400)
        self.end_headers()

    def log_message(self, *_):
        pass


def ask(path, document=None):
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v2{path}", data, {"Content-Type": "application/json"})
    for _ in range(100):
        try:
            answer = urllib.request.urlopen(request, timeout=5).read()
            return json.loads(answer) if answer.strip() else None
        except urllib.error.URLError as fault:
            if isinstance(fault, urllib.error.HTTPError):
                raise
            time.sleep(0.1)  # it is not up yet


def post(ends_at):
    ask("/alerts", [{"labels": {"alertname": "DiskFull"}, "startsAt": now.isoformat(), "endsAt": ends_at.isoformat()}])


threading.Thread(target=HTTPServer(("127.0.0.1", hook), Handler).serve_forever, daemon=True).start()
now = datetime.now(timezone.utc)
post(now + timedelta(hours=1))
refused = [sent.get(timeout=20) for _ in range(3)]
gaps = [round(later[0] - earlier[0], 1) for earlier, later in zip(refused, refused[1:])]
print("refused:", [status for _, status in refused], "seconds between:", gaps)
post(datetime.now(timezone.utc))
time.sleep(5)
print("sent after its end:", sent.qsize())
is_so = [status for _, status in refused] == ["firing"] * 3 and all(gap >= 1.5 for gap in gaps) and sent.empty()
sys.exit(0 if is_so else "changed: expected a refusal at each group_interval, and nothing after the end")
PYTHON
python3 look.py "$port" "$hook"
