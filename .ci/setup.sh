#!/bin/sh
# Makes a fresh Debian machine (root, its stock Node and npm) ready: system packages, npm packages, dist/.
# Idempotent; with nothing to do it takes some hundredths of a second.
set -eu
cd "$(dirname "$0")/.."

missing=
need() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"; }
need runc runc
need musl-gcc musl-tools
need gcc gcc
need nft nftables
need ip iproute2
need mmdebstrap mmdebstrap
need docker-registry docker-registry
need git git
need curl curl
need nsenter util-linux
[ -e /var/lib/dpkg/info/busybox-static.list ] || missing="$missing busybox-static"
[ -e /usr/lib/gcc/x86_64-linux-gnu/12/libasan.so ] || [ -e /usr/lib/gcc/aarch64-linux-gnu/12/libasan.so ] || missing="$missing libgcc-12-dev"
# Headers: the kernel's for the native programs, glibc's for their builds with sanitizers.
[ -e /usr/include/linux/filter.h ] || missing="$missing linux-libc-dev"
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ]; then
    echo "setup: these packages are missing, run: sudo apt-get install -y$missing" >&2
    exit 1
  fi
  echo "setup: installing$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  # The registry is only started by tests, by hand: its service must not be, and must not run beside them.
  apt-get -qq -o DPkg::Lock::Timeout=900 update >/dev/null
  # shellcheck disable=SC2086
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  # shellcheck disable=SC2086
  apt-get -qq -o DPkg::Lock::Timeout=900 install -y --no-install-recommends $missing >/dev/null
fi

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo 'setup: installing npm packages' >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
fi

if [ ! -e dist/.built ] || [ -n "$(find src schemas .ci/build.mjs package.json -newer dist/.built -print -quit)" ]; then
  echo 'setup: building dist/' >&2
  node_modules/.bin/node .ci/build.mjs
fi
