#!/usr/bin/env bash
# Alertmanager 0.25.0 (Debian 12: 0.25.0-1+b4) lists silences by the time when they end. Those that end at the same moment,
# as a script makes them that silences ten clusters until Monday, stand in another order at each call: who reads the list
# in pages by position, as servers for the Model Context Protocol do, misses some and sees others twice.
# (0.34.0 lists them in the order in which they were made.)
#
# So Alert History breaks the tie: its list stands still, and its tests give each silence an end of its own where they
# compare the order with Alertmanager's.
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
"""Makes twelve silences with one end, and lists them forty times: whole, and as pages of four from three calls."""
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
for number in range(12):
    silence = {
        "matchers": [{"name": "cluster", "value": str(number), "isRegex": False}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(days=2)).isoformat(),
        "createdBy": "script",
        "comment": "until Monday",
    }
    ask("/silences", silence)
lists = [[silence["id"] for silence in ask("/silences")] for _ in range(40)]
orders = {tuple(ids) for ids in lists}
pages = [set(a[:4]) | set(b[4:8]) | set(c[8:]) for a, b, c in zip(lists, lists[1:], lists[2:])]
incomplete = sum(len(page) < 12 for page in pages)
print(f"{len(orders)} orders in {len(lists)} calls; {incomplete} of {len(pages)} readings by pages of four missed a silence")
is_so = len({frozenset(ids) for ids in lists}) == 1 and len(orders) > 1 and incomplete > 0
sys.exit(0 if is_so else "changed: expected another order at each call")
PYTHON
python3 look.py "$port" "$hook"
