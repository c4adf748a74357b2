#!/bin/sh
# What `helm test` runs: whether the service at $1 lives, is ready, answers from its history and shows its metrics.
# Changes nothing.
set -eu

get() { curl --fail --silent --show-error --max-time 10 --retry 5 --retry-connrefused "$1"; }

get "$1/healthz" >/dev/null && echo "lives"
get "$1/readyz" && echo " ready"
get "$1/history?limit=1" | grep -q '"total"' && echo "answers from its history"
get "$1/publishing/mode" && echo " knows how it publishes"
get "$1/metrics" | grep -q '^alert_history_' && echo "shows its metrics"
