#!/usr/bin/env bash
# `npm run test:vm`: the container and cgroup tests on what real hosts are: systemd and cgroup v2, in a QEMU guest
# (software emulation, so that it runs anywhere). The guest's disk is made by debootstrap once and kept in build/vm.
. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/packages.sh"
[ "$(id -u)" -eq 0 ] || die "making the guest's disk needs root: run this as root (sudo npm run test:vm)"
bash contrib/bootstrap/setup.sh --test
ensure_cargo
ensure_packages qemu-system-x86 debootstrap e2fsprogs
vm="$repo/build/vm"
mkdir -p "$vm"

# The guest's system: Debian with systemd, its kernel and initrd beside it.
make_system() {
  rm -rf "$vm/root" "$vm/system.img"
  debootstrap --variant=minbase \
    --include=systemd-sysv,dbus,kmod,linux-image-cloud-amd64,busybox-static,nftables,iproute2,iputils-ping,procps,curl,zstd \
    bookworm "$vm/root" > "$vm/debootstrap.log" 2>&1 || { tail -n 20 "$vm/debootstrap.log" >&2; return 1; }
  install -m 644 contrib/vm/gantry-test.service "$vm/root/etc/systemd/system/gantry-test.service"
  ln -sf /etc/systemd/system/gantry-test.service "$vm/root/etc/systemd/system/multi-user.target.wants/gantry-test.service"
  ln -sf /dev/null "$vm/root/etc/systemd/system/serial-getty@ttyS0.service"
  ln -sf /dev/null "$vm/root/etc/systemd/system/apt-daily.timer"
  printf 'gantry-vm\n' > "$vm/root/etc/hostname"
  mkdir -p "$vm/root/gantry"
  cp "$vm"/root/boot/vmlinuz-* "$vm/vmlinuz"
  cp "$vm"/root/boot/initrd.img-* "$vm/initrd"
  mke2fs -q -t ext4 -d "$vm/root" "$vm/system.img" 3G
  rm -rf "$vm/root"
}

# What is tested: the checkout without what only builds it, and the Rust test programs.
make_payload() {
  local payload="$vm/payload"
  rm -rf "$payload"
  mkdir -p "$payload/rust"
  tar -c --exclude=./build/vm --exclude=./build/cache --exclude=./shim-native/target --exclude=./.git \
    --exclude=./node_modules/typescript --exclude=./node_modules/@biomejs --exclude=./node_modules/@bufbuild/buf* \
    --exclude=./node_modules/@esbuild --exclude=./node_modules/@oxc* --exclude=./node_modules/.cache . | tar -x -C "$payload"
  cargo test --release --locked --no-run --manifest-path shim-native/Cargo.toml -p gantry-runtime -p containerd-shim-gantry \
    --message-format=json 2>/dev/null | "$node" contrib/vm/test-programs.ts | xargs -I{} cp {} "$payload/rust/"
  rm -f "$vm/payload.img"
  mke2fs -q -t ext4 -d "$payload" "$vm/payload.img" 3G
  rm -rf "$payload"
}

once vm-system "$(hash_of contrib/vm/gantry-test.service contrib/bootstrap/test-vm.sh)" make_system
say "packing what is tested"
make_payload
say "booting the guest (software emulation: a few minutes)"
exec "$node" contrib/vm/boot.ts "$vm"
