#!/usr/bin/env bash
# `npm run test:vm`: the container and cgroup tests on what real hosts are: systemd and cgroup v2, in a QEMU guest
# (software emulation, so that it runs anywhere). The guest's system is made by debootstrap once and kept in build/vm.
#   npm run test:vm -- WORD...   only the parts whose name contains a word: test/vm, rust/containers, rust/lifecycle ...
. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/packages.sh"
[ "$(id -u)" -eq 0 ] || die "making the guest's disk needs root: run this as root (sudo npm run test:vm)"
bash contrib/bootstrap/setup.sh --test
ensure_cargo
ensure_packages qemu-system-x86 debootstrap e2fsprogs
vm="$repo/build/vm"
guest_packages=apparmor,systemd-sysv,dbus,kmod,linux-image-cloud-amd64,busybox-static,nftables,iproute2,iputils-ping,procps,curl,zstd,criu,containerd,iptables
mkdir -p "$vm"

# Debian with systemd and its cloud kernel: the slow part, minutes.
make_base() {
  rm -rf "$vm/root"
  debootstrap --variant=minbase --include="$guest_packages" bookworm "$vm/root" > "$vm/debootstrap.log" 2>&1 ||
    { tail -n 20 "$vm/debootstrap.log" >&2; return 1; }
}

# The disk: that system, and a service that runs the tests in place of a login.
make_system() {
  local etc="$vm/root/etc"
  rm -rf "$vm/system.img" "$vm"/root/var/cache/apt/archives/*.deb "$vm"/root/var/lib/apt/lists/*
  mkdir -p "$etc/systemd/system/multi-user.target.wants" "$vm/root/gantry"
  install -m 644 contrib/vm/gantry-test.service "$etc/systemd/system/gantry-test.service"
  ln -sf ../gantry-test.service "$etc/systemd/system/multi-user.target.wants/gantry-test.service"
  local unit
  for unit in serial-getty@ttyS0.service getty@tty1.service apt-daily.timer apt-daily-upgrade.timer \
    containerd.service; do
    ln -sf /dev/null "$etc/systemd/system/$unit"
  done
  printf 'gantry-vm\n' > "$etc/hostname"
  cp "$vm"/root/boot/vmlinuz-* "$vm/vmlinuz"
  cp "$vm"/root/boot/initrd.img-* "$vm/initrd"
  mke2fs -q -t ext4 -d "$vm/root" "$vm/system.img" 3G
}

# What is tested, as it would be installed: bundles, native code, the tests and what they import, no tools.
make_payload() {
  local payload="$vm/payload" modules
  rm -rf "$payload" "$vm/payload.img"
  mkdir -p "$payload/rust"
  modules=$(npm ls --omit=dev --all --parseable | sed -n "s|^$repo/||p")
  # shellcheck disable=SC2086
  tar -c --exclude=node_modules/node-linux-*/include --exclude=node_modules/.bin package.json api core plugins cmd contrib test \
    build/bin build/lib build/native $modules | tar -x -C "$payload"
  printf '%s\n' "$repo" > "$payload/where"
  printf '%s\n' "$@" > "$payload/words"
  make_rust_programs "$payload"
  mke2fs -q -t ext4 -d "$payload" "$vm/payload.img" 2G
  rm -rf "$payload"
}

# The shim's tests start the shim by the path it was built at.
make_rust_programs() {
  local target="${CARGO_TARGET_DIR:-shim-native/target}" messages="$vm/cargo.json"
  cargo test --release --locked --no-run --manifest-path shim-native/Cargo.toml -p gantry-runtime -p containerd-shim-gantry \
    --message-format=json-render-diagnostics > "$messages"
  "$node" contrib/vm/test-programs.ts < "$messages" | xargs -I{} cp {} "$1/rust/"
  rm "$messages"
  target=$(realpath "$target")
  mkdir -p "$1/binaries$target/release"
  cp "$target/release/containerd-shim-gantry-v1" "$1/binaries$target/release/"
}

once vm-base "$guest_packages" make_base
once vm-system "$(hash_of contrib/vm/gantry-test.service contrib/bootstrap/test-vm.sh) $guest_packages" make_system
say "packing what is tested"
make_payload "$@"
say "booting the guest (software emulation: about five minutes)"
exec "$node" contrib/vm/boot.ts "$vm"
