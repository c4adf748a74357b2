#!/bin/sh
# What `helm test` runs: whether the service at $1 lives, is ready, answers from its history and shows its metrics.
# With a token in TOKEN it calls as its holder; without one a 401 is an answer, too. Changes nothing.
set -eu

get() {
    curl --fail --silent --show-error --max-time 10 --retry 5 --retry-connrefused \
        ${TOKEN:+--header "Authorization: Bearer $TOKEN"} "$1"
}
asks() {
    [ -z "${TOKEN:-}" ] && [ "$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' "$1")" = 401 ]
}

get "$1/healthz" >/dev/null
echo "lives"
get "$1/readyz"
echo " ready"
if asks "$1/history?limit=1"; then
    echo "asks who calls"
else
    get "$1/history?limit=1" | grep -q '"total"'
    echo "answers from its history"
    get "$1/publishing/mode"
    echo " knows how it publishes"
fi
if asks "$1/metrics"; then
    echo "asks who scrapes"
else
    get "$1/metrics" | grep '^alert_history_' >/dev/null
    echo "shows its metrics"
fi
