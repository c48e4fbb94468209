#!/bin/sh
# Makes `./plugin`, the program that plugin.toml names.
set -e
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -trimpath -o plugin .
