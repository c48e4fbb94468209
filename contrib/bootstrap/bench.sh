#!/usr/bin/env bash
# `npm run bench`: the set-up and the peers from Debian, then the benchmark; what it takes: contrib/bench/options.ts.
# `npm run bench -- --rows networks|snapshotters|hung-plugin|docker-soak [ARGS]`: a benchmark of its own in contrib/bench.
. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/packages.sh"
[ "$(id -u)" -eq 0 ] || die "containers need root: run this as root (sudo npm run bench)"
bash contrib/bootstrap/setup.sh --test
# shellcheck disable=SC2086
ensure_packages $bench_packages
ensure_cargo
cargo build --quiet --release --locked --manifest-path shim-native/Cargo.toml -p gantry-runtime --example run_bundle
case "${1:-} ${2:-}" in
  "--rows networks" | "--rows snapshotters" | "--rows hung-plugin" | "--rows docker-soak")
    exec "$node" "contrib/bench/$2.ts" "${@:3}" ;;
esac
exec "$node" contrib/bench/bench.ts "$@"
