#!/usr/bin/env bash
# Prometheus 2.42.0 (Debian 12: 2.42.0+ds-5+deb12u1) sends a firing alert every *other* resend delay where the rule
# interval is equal to `--rules.alert.resend-delay`, as both are by default (1m). "Minimum amount of time to wait before
# resending an alert" is compared with "before", and evaluations are exactly one interval apart, so an alert whose delay
# has just passed waits for one more evaluation. Known as prometheus/prometheus#10844.
#
# Who waits for one resend delay (a receiver that holds a resolve until the other replica must have repeated its firing)
# hears of the firing too late. Alert History waits for two and a quarter.
#
# Seen, with a rule interval of 1 s: posts 2 s apart with a delay of 1 s, 1 s apart with a delay of 900 ms.
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
"""Takes what is posted, and writes down when."""
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print(time.time(), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, file=open(sys.argv[1], "w"), flush=True)
server.serve_forever()
PYTHON

cat >rules.yml <<'YAML'
groups:
  - name: one
    interval: 1s
    rules: [{alert: AlwaysFires, expr: 'vector(1)'}]
YAML

# Sets `gap` to the median gap between posts, in tenths of a second, with a resend delay of $1.
measure() {
    local delay=$1
    rm -f port
    python3 receiver.py port >"times-$delay" &
    running+=($!)
    until [ -s port ]; do sleep 0.1; done
    cat >"prometheus-$delay.yml" <<YAML
rule_files: [rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:$(cat port)']}]}]}
YAML
    ./usr/bin/prometheus --config.file="prometheus-$delay.yml" --storage.tsdb.path="data-$delay" \
        --web.listen-address=127.0.0.1:0 --rules.alert.resend-delay="$delay" >"log-$delay" 2>&1 &
    running+=($!)
    for _ in $(seq 300); do
        [ "$(wc -l <"times-$delay")" -ge 6 ] && break
        sleep 0.1
    done
    gap=$(python3 -c '
import statistics, sys
times = [float(line) for line in open(sys.argv[1])]
gaps = [later - one for one, later in zip(times, times[1:])]
print(round(10 * statistics.median(gaps)) if gaps else 0)' "times-$delay")
}

measure 1s
equal=$gap
measure 900ms
shorter=$gap
echo "rule interval 1 s: resend delay 1 s: posts ${equal} tenths of a second apart; 900 ms: ${shorter}"
[ "$equal" -ge 18 ] && [ "$equal" -le 22 ] && [ "$shorter" -ge 8 ] && [ "$shorter" -le 12 ] && exit 0
echo "changed: expected about 20 and about 10" >&2
exit 1
