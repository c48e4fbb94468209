#!/usr/bin/env bash
# `npm start`: the set-up, then gantryd in the foreground. Arguments go to gantryd: npm start -- --log-level debug
. "$(dirname "$0")/env.sh"
[ "$(id -u)" -eq 0 ] || die "gantryd needs root: run this as root (sudo npm start)"
bash contrib/bootstrap/setup.sh
say "gantryd (end it with Ctrl-C; containers go on). In another shell: export PATH=$repo/build/bin:\$PATH"
exec build/bin/gantryd "$@"
