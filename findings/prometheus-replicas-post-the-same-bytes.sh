#!/usr/bin/env bash
# Prometheus 2.42.0 (Debian 12: 2.42.0+ds-5+deb12u1): two replicas that were started at different moments post the same
# bytes. Rules are evaluated on a grid that the group's name and file set, not the start of the process, and `startsAt`
# and `endsAt` are times of that grid. Where both replicas have one external URL and one way to the receiver, no byte,
# no time and no order tells two posts of two replicas from one post that came twice.
#
# Who counts a repeated body as one that a proxy or a client sent again takes a pair for one server, and believes the
# resolve of the first replica that is wrong. Alert History holds such a resolve.
#
# Seen, with a rule interval of 4 s and starts 1.7 s apart: every body of the one among those of the other.
# Needs apt-get, dpkg and python3; takes half a minute. Exits 0 if that is so, 1 if not.
set -euo pipefail

PACKAGE=prometheus=2.42.0+ds-5+deb12u1
work=$(mktemp -d)
running=()
clean_up() {
    for pid in "${running[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work"

apt-get -o APT::Sandbox::User=root download -qq "$PACKAGE"
dpkg -x ./*.deb .
./usr/bin/prometheus --version 2>&1 | head -1

cat >receiver.py <<'PYTHON'
"""Takes what is posted, and writes down a hash of each body and its times."""
import hashlib, json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        alert = json.loads(body)[0]
        print(hashlib.sha256(body).hexdigest()[:12], alert["startsAt"], alert["endsAt"], flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, file=open(sys.argv[1], "w"), flush=True)
server.serve_forever()
PYTHON

begins=$(($(date +%s) + 8))
cat >rules.yml <<YAML
groups:
  - name: one
    interval: 4s
    rules: [{alert: FiresLater, expr: 'vector(time()) > $begins'}]
YAML

start() {
    local name=$1
    python3 receiver.py "port-$name" >"posts-$name" &
    running+=($!)
    until [ -s "port-$name" ]; do sleep 0.1; done
    cat >"prometheus-$name.yml" <<YAML
rule_files: [rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:$(cat "port-$name")']}]}]}
YAML
    ./usr/bin/prometheus --config.file="prometheus-$name.yml" --storage.tsdb.path="data-$name" \
        --web.listen-address=127.0.0.1:0 --web.external-url=http://prometheus.example \
        --rules.alert.resend-delay=3s >"log-$name" 2>&1 &
    running+=($!)
}

start a
sleep 1.7
start b
for _ in $(seq 400); do
    [ "$(wc -l <posts-a)" -ge 4 ] && [ "$(wc -l <posts-b)" -ge 4 ] && break
    sleep 0.1
done
head -3 posts-a posts-b
same=$(comm -12 <(head -4 posts-a | sort) <(head -4 posts-b | sort) | wc -l)
echo "of 4 posts of each replica, $same are the same bytes"
[ "$same" -eq 4 ] && exit 0
echo "changed: expected 4" >&2
exit 1
