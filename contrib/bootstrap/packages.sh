# Debian packages: what building, running and testing Gantry needs beyond a bare Debian 12 with Node and npm.
# Sourced. `ensure_packages LIST...` installs what is missing, and nothing when nothing is.

# A container's network needs nftables' base rules loaded; everything else of a run goes through the kernel directly.
run_packages="nftables ca-certificates"
build_packages="gcc libc6-dev"
# A real registry, a real root file system, a real peer; and what tests look at the host with.
test_packages="busybox-static btrfs-progs docker-registry iproute2 iputils-ping curl containerd runc docker.io iptables procps openssl perl python3-grpcio python3-protobuf bind9-dnsutils containernetworking-plugins tcpdump docker-compose xz-utils podman debootstrap"
# Peers and clients that only the benchmark needs.
bench_packages="buildah hyperfine iperf3 wrk"

ensure_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ "$(id -u)" -eq 0 ] || die "these Debian packages are missing and only root can install them: ${missing[*]}"
  say "apt-get install ${missing[*]}"
  without_services_starting apt_install "${missing[@]}"
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# docker-registry and its like start a service on install; ours are started by who needs them, on loopback.
without_services_starting() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then "$@"; return; fi
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  "$@" || status=$?
  rm -f "$policy"
  return "$status"
}

# Rust from rustup when it is there (as on most machines that build), Debian's own otherwise.
ensure_cargo() {
  command -v cargo >/dev/null && return 0
  if [ -x "$HOME/.cargo/bin/cargo" ]; then export PATH="$HOME/.cargo/bin:$PATH"; return 0; fi
  ensure_packages cargo-web rustc-web
}
