#!/usr/bin/env bash
# `npm run build`: the set-up, then the bundles again whatever the stamps say.
. "$(dirname "$0")/env.sh"
rm -f "$stamps/bundles"
exec bash contrib/bootstrap/setup.sh "$@"
