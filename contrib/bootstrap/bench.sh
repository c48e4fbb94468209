#!/usr/bin/env bash
# `npm run bench`: the set-up, then the benchmark beside runc; `npm run bench -- --rows networks`: networks beside dockerd.
. "$(dirname "$0")/env.sh"
[ "$(id -u)" -eq 0 ] || die "containers need root: run this as root (sudo npm run bench)"
bash contrib/bootstrap/setup.sh --test
if [ "${1:-}" = --rows ]; then
  [ -f "contrib/bench/${2:-}.ts" ] || die "--rows ${2:-}: there is no contrib/bench/${2:-}.ts"
  exec "$node" "contrib/bench/$2.ts" "${@:3}"
fi
exec "$node" contrib/bench/bench.ts
