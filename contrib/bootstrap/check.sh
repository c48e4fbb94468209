#!/usr/bin/env bash
# `npm run check`: the static checks alone (types, lint, import law, contracts, formatting, clippy).
exec bash "$(dirname "$0")/test.sh" static
