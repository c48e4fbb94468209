#!/usr/bin/env bash
# `npm run bench`: the set-up, then the benchmark beside runc.
. "$(dirname "$0")/env.sh"
[ "$(id -u)" -eq 0 ] || die "containers need root: run this as root (sudo npm run bench)"
bash contrib/bootstrap/setup.sh --test
exec "$node" contrib/bench/bench.ts
