#!/usr/bin/env bash
# Alertmanager 0.25.0 (Debian 12: 0.25.0-1+b4) masks passwords and keys in the configuration that /api/v2/status shows,
# and everybody who can reach its port can read that. The URL of a webhook it does not mask: user, password and a token in
# the query stand there as they were written. The URL of a Slack hook beside it is `<secret>`.
# (0.34.0 masks the URL of a webhook, too.)
#
# So Alert History, which keeps the configurations of the Alertmanagers that it asks, masks the URLs of webhooks by itself
# before it stores anything: that Alertmanager has masked its secrets can't be relied upon.
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
route: {receiver: hooks}
receivers:
  - name: hooks
    webhook_configs: [{url: 'https://ada:lovelace@127.0.0.1:$hook/?token=babbage'}]
    slack_configs: [{api_url: 'https://127.0.0.1:$hook/turing', channel: ops}]
YAML
./usr/bin/prometheus-alertmanager --config.file=alertmanager.yml --storage.path=data \
    --web.listen-address="127.0.0.1:$port" --cluster.listen-address= >log 2>&1 &
alertmanager=$!

cat >look.py <<'PYTHON'
"""Reads the configuration as anybody may."""
import json, sys, time, urllib.error, urllib.request

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


original = ask("/status")["config"]["original"]
for line in original.splitlines():
    if "url:" in line and "127.0.0.1" in line or "<secret>" in line:
        print(line.strip())
is_so = "ada:lovelace@" in original and "token=babbage" in original and "turing" not in original
sys.exit(0 if is_so else "changed: expected the webhook's password in the status, and Slack's URL masked")
PYTHON
python3 look.py "$port" "$hook"
