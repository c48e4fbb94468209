#!/usr/bin/env bash
# `npm run quickstart`: from a fresh clone to a container that serves a page, and back to a clean host.
. "$(dirname "$0")/env.sh"
[ "$(id -u)" -eq 0 ] || die "containers need root: run this as root (sudo npm run quickstart)"
bash contrib/bootstrap/setup.sh
. contrib/bootstrap/packages.sh
ensure_packages busybox-static docker-registry curl

work=$(mktemp -d /tmp/gantry-quickstart.XXXXXX)
export GANTRY_ADDRESS="$work/run/gantryd.sock"
export PATH="$repo/build/bin:$PATH"
daemon=
registry=

# Whatever happens, nothing stays: containers first, then the daemon (which ends its plugins), the registry, the files.
clean_up() {
  local status=$?
  set +e
  trap - EXIT INT TERM
  if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
    gctr containers ls -q 2>/dev/null | while read -r id; do gctr containers rm --force "$id" >/dev/null 2>&1; done
    gctr networks ls -q 2>/dev/null | while read -r name; do gctr networks rm "$name" >/dev/null 2>&1; done
    end_process "$daemon"
  fi
  [ -z "$registry" ] || end_process "$registry"
  if [ "$status" -ne 0 ]; then
    printf '\ngantryd said:\n' >&2
    tail -n 40 "$work/gantryd.log" >&2 2>/dev/null
  fi
  rm -rf "$work"
  exit "$status"
}
end_process() {
  kill "$1" 2>/dev/null
  wait "$1" 2>/dev/null
}
trap clean_up EXIT INT TERM

# A port nobody listens on, as the kernel sees it now.
free_port() { "$node" -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local tries=$(($1 * 20)); shift
  for ((i = 0; i < tries; i++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.05; done
  die "gave up waiting for: $*"
}
show() { printf '\033[36m$ %s\033[0m\n' "$*"; "$@"; }

say "starting gantryd"
gantryd --root "$work/lib" --state "$work/run" 2> "$work/gantryd.log" &
daemon=$!
wait_for 20 gctr version
show gctr version

say "starting a registry on loopback (Debian's docker-registry)"
registry_port=$(free_port)
cat > "$work/registry.yml" <<YML
version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: $work/registry } }
http: { addr: "127.0.0.1:$registry_port" }
YML
docker-registry serve "$work/registry.yml" > "$work/registry.log" 2>&1 &
registry=$!
wait_for 20 curl -fsS "http://127.0.0.1:$registry_port/v2/"

say "making an image from Debian's busybox-static"
image="127.0.0.1:$registry_port/hello:1"
"$node" contrib/bootstrap/make-image.ts "$work/hello.tar" "$image"
show gctr images import "$work/hello.tar"

say "pushing it, forgetting it, pulling it"
show gctr images push "$image"
show gctr images rm --sync "$image"
show gctr images pull "$image"
show gctr images ls

say "running it on the bridge network, with a published port"
port=$(free_port)
show gctr run -d --name hello -p "$port:80" "$image"
wait_for 10 curl -fsS "http://127.0.0.1:$port/"
show curl -sS "http://127.0.0.1:$port/"
show gctr ps
show gctr tasks exec hello ip -4 addr show eth0
show gctr containers logs hello
show gctr run --rm --net host "$image" echo "one more, and gone"
show gctr plugins ls

say "stopping and removing it"
show gctr tasks stop --time 1s hello
show gctr containers rm --force hello
show gctr images rm --sync "$image"

cat <<TXT

That was Gantry. To go on:
  npm start                                    gantryd in the foreground (then, in another shell:)
  export PATH="$repo/build/bin:\$PATH"
  gctr images pull REGISTRY/IMAGE:TAG
  gctr run -t -i --rm REGISTRY/IMAGE:TAG sh
  gctr --help                                  everything else; docs/ explains the parts
TXT
