#!/usr/bin/env bash
# `npm test`: the set-up, then every check and test. `npm test -- unit static` runs some lanes only.
# Without root it runs what needs none and says what it left out.
. "$(dirname "$0")/env.sh"
bash contrib/bootstrap/setup.sh --test
command -v cargo >/dev/null || export PATH="$HOME/.cargo/bin:$PATH"
exec "$node" contrib/bootstrap/test.ts "$@"
