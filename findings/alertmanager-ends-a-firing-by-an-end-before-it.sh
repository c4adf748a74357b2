#!/usr/bin/env bash
# Alertmanager 0.25.0 (Debian 12: 0.25.0-1+b4), and 0.34.0 as well: an alert fires since ten o'clock. A late resolve comes
# in, of an earlier firing that lasted from eight to nine. The two ranges do not overlap, so Alertmanager does not join
# them: it replaces the one by the other, and what fires is gone, from its API and for its receivers, until its sender posts
# it again.
#
# So for Alertmanager the post that came last is the truth, whichever times it names. That is why Alert History, asked what
# Alertmanager listed at a past moment, goes by what was posted until then, and not by the times of its own history.
#
# Needs apt-get, dpkg and python3; takes five seconds. Exits 0 if that is so, 1 if not.
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
route: {receiver: nobody}
receivers: [{name: nobody}]
YAML
./usr/bin/prometheus-alertmanager --config.file=alertmanager.yml --storage.path=data \
    --web.listen-address="127.0.0.1:$port" --cluster.listen-address= >log 2>&1 &
alertmanager=$!

cat >look.py <<'PYTHON'
"""Posts a firing, and then the end of a firing before it."""
import json, sys, time, urllib.error, urllib.request
from datetime import datetime, timedelta, timezone

port = int(sys.argv[1])


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


now = datetime.now(timezone.utc)


def post(starts_hours, ends_hours):
    alert = {
        "labels": {"alertname": "DiskFull"},
        "startsAt": (now + timedelta(hours=starts_hours)).isoformat(timespec="milliseconds"),
        "endsAt": (now + timedelta(hours=ends_hours)).isoformat(timespec="milliseconds"),
    }
    ask("/alerts", [alert])
    listed = [(each["startsAt"], each["endsAt"]) for each in ask("/alerts")]
    print(f"posted {alert['startsAt']} to {alert['endsAt']}; listed: {listed}")
    return listed


fires = post(-1, 1)
after = post(-3, -2)
again = post(-1, 1)
is_so = len(fires) == 1 and after == [] and again == fires
sys.exit(0 if is_so else "changed: expected that the firing is gone after the end of an earlier one, until it is posted again")
PYTHON
python3 look.py "$port" "$hook"
