#!/usr/bin/env bash
# Everything between a fresh clone and `build/bin`: packages, dependencies, generated code, native code, bundles.
# Each step is skipped when its inputs have not changed since it last succeeded; then nothing here needs the network.
#   setup.sh          what running needs
#   setup.sh --test   and what the tests need
. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/packages.sh"

install_dependencies() { npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; }
generate_contracts() { buf generate; }
# For plugins in languages that read the contracts at run time.
describe_contracts() {
  mkdir -p build
  buf build --exclude-source-info --path api/proto/containerd/services/snapshots --path api/proto/gantry/network \
    --path api/proto/gantry/plugin --path api/proto/grpc/health --output build/contracts.binpb
}
build_native() {
  ensure_cargo
  cargo build --release --locked --manifest-path shim-native/Cargo.toml --bins --lib -p containerd-shim-gantry -p gantry-sys
  mkdir -p build/native build/bin
  install -m 755 shim-native/target/release/libgantry_sys.so build/native/gantry-sys.node
  install -m 755 shim-native/target/release/containerd-shim-gantry-v1 build/bin/containerd-shim-gantry-v1
}
build_bundles() { "$node" contrib/bootstrap/build.ts; }

if [ "$(id -u)" -eq 0 ]; then
  # shellcheck disable=SC2086
  ensure_packages $run_packages $build_packages
  # shellcheck disable=SC2086
  [ "${1:-}" != --test ] || ensure_packages $test_packages
fi
command -v npm >/dev/null || die "npm is not there; install Node 20 or newer with npm first"

once dependencies "$(sha256sum package-lock.json | cut -c1-64)" install_dependencies
once contracts "$(hash_of api/proto buf.gen.yaml)" generate_contracts
once contracts-image "$(hash_of api/proto)" describe_contracts
once native "$(hash_of shim-native api/proto)" build_native
once bundles "$(hash_of api core plugins cmd contrib/bootstrap/build.ts contrib/examples package-lock.json)" build_bundles
