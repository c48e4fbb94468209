#!/bin/sh
# Makes `./plugin`, the program that plugin.toml names.
set -e
cd "$(dirname "$0")"
cargo build --release
cp -f "${CARGO_TARGET_DIR:-target}/release/plugin" plugin
