#!/usr/bin/env bash
# Tries docker-compose.yml for real: builds the image, starts a cluster of its own (project quorate-trial, fresh volumes), writes
# and reads through each port, kills the leader's container while it writes, starts it again, and looks for everything that was
# acknowledged. Removes containers and volumes at the end, whatever happens. Needs Docker, curl and the ports 7700, 7710, ...
#
#   scripts/try-compose.sh        three nodes
#   scripts/try-compose.sh 5      five
set -euo pipefail
cd "$(dirname "$0")/.."

nodes=${1:-3}
case $nodes in
  3) flags=() ;;
  5) flags=(--env-file compose.five.env --profile five) ;;
  *) echo "usage: $0 [3|5]" >&2; exit 2 ;;
esac
if docker compose version >/dev/null 2>&1; then engine=(docker compose); else engine=(docker-compose); fi
compose() { "${engine[@]}" -p quorate-trial ${flags[@]+"${flags[@]}"} "$@"; }

work=$(mktemp -d)
cleanup() {
  compose down --volumes >"$work/down" 2>&1 || cat "$work/down" >&2
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; compose logs --tail 20 >&2; exit 1; }

url() { echo "http://127.0.0.1:$((7690 + 10 * $1))"; }
leader() { curl -sS -m 5 "$(url "$1")/v1/status" | sed -n 's/.*"leader":{"name":"n\([0-9]\)".*/\1/p'; }
# Waits at most so many seconds until a command succeeds, and prints how long it took.
within() {
  local limit=$1 start=$SECONDS
  shift
  until "$@"; do ((SECONDS - start < limit)) || return 1; sleep 0.5; done
  echo "  after $((SECONDS - start)) s"
}
healthy() {
  local id count=0
  for id in $(compose ps -q); do
    [[ $(docker inspect -f '{{.State.Health.Status}}' "$id") == healthy ]] && count=$((count + 1))
  done
  ((count == nodes))
}
ready() { curl -sf -m 2 -o "$work/ready" "$(url "$1")/readyz"; }

echo "building"
compose build >"$work/build" 2>&1 || { cat "$work/build" >&2; fail "the image could not be built"; }
echo "starting $nodes nodes"
compose up -d >"$work/up" 2>&1 || { cat "$work/up" >&2; fail "the containers could not be started"; }
within 30 healthy || fail "not all nodes were healthy within 30 s"

echo "writing through each node, reading through each other"
for ((writer = 1; writer <= nodes; writer++)); do
  curl -sSf -m 10 -X PUT --data-binary "from n$writer" "$(url $writer)/v1/kv/hello/$writer" || fail "a write through n$writer"
  for ((reader = 1; reader <= nodes; reader++)); do
    [[ $(curl -sSf -m 10 "$(url $reader)/v1/kv/hello/$writer") == "from n$writer" ]] || fail "a read through n$reader"
  done
done

victim=$(leader 1)
survivor=$((victim % nodes + 1))
echo "killing the leader, n$victim, while writing through n$survivor"
touch "$work/acknowledged"
(
  for ((number = 0; ; number++)); do
    if curl -sf -m 10 -X PUT --data-binary "$number" "$(url $survivor)/v1/kv/load/$number"; then echo "$number" >>"$work/acknowledged"; fi
  done
) &
writer=$!
sleep 2
docker kill "$(compose ps -q "n$victim")" >"$work/kill"
before=$(wc -l <"$work/acknowledged")
more() { (($(wc -l <"$work/acknowledged") > before + 10)); }
within 10 more || fail "no write was acknowledged within 10 s after the leader was killed"
docker start "$(compose ps -aq "n$victim" 2>"$work/ps" || compose ps -q "n$victim")" >"$work/start"
within 30 ready "$victim" || fail "n$victim did not come back"
kill "$writer"
wait "$writer" 2>"$work/wait" || true

total=$(wc -l <"$work/acknowledged")
echo "looking for $total acknowledged writes through n$victim"
while read -r number; do
  [[ $(curl -sSf -m 10 "$(url "$victim")/v1/kv/load/$number") == "$number" ]] || fail "write $number is lost"
done <"$work/acknowledged"
echo "passed"
