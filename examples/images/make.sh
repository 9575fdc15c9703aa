#!/bin/sh
# Makes root file systems for base images from Debian packages alone, where no registry of images can be reached:
#   make.sh busybox FILE.tar    a static busybox with all its applets
#   make.sh debian FILE.tar     a minimal Debian 12, as debian:bookworm-slim is
# `tcompose image import FILE.tar NAME:TAG` makes an image of it.
set -eu
kind=${1:?busybox or debian} out=${2:?a file to write}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $kind in
  busybox)
    root=$work/root
    for dir in bin dev etc home lib proc root run sbin sys usr/bin usr/sbin var/www var/spool/mail; do mkdir -p "$root/$dir"; done
    mkdir -m 1777 "$root/tmp" "$root/var/tmp"
    program=$(dpkg -L busybox-static | grep -m1 '/busybox$')
    cp "$program" "$root/bin/busybox"
    "$program" --list | while read -r applet; do
      [ "$applet" = busybox ] || ln -f "$root/bin/busybox" "$root/bin/$applet"
    done
    ln -s ../../bin/env "$root/usr/bin/env"
    printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n' >"$root/etc/group"
    tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$out.new" .
    ;;
  debian)
    # The sources of this machine, so that a mirror of its own is used inside too.
    sources=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true)
    mirror=$(printf '%s\n' "$sources" | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -1 | sed 's,/* *$,,')
    : "${mirror:?no Debian mirror in /etc/apt}"
    mkdir -p "$work/conf/etc/apt/sources.list.d" "$work/conf/etc/apt/apt.conf.d" "$work/conf/usr/sbin"
    printf 'Types: deb\nURIs: %s\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
      "$mirror" >"$work/conf/etc/apt/sources.list.d/debian.sources"
    printf 'Acquire::Retries "5";\nAcquire::Languages "none";\nAPT::Install-Recommends "false";\nDpkg::Use-Pty "0";\n' >"$work/conf/etc/apt/apt.conf.d/container"
    printf '#!/bin/sh\nexit 101\n' >"$work/conf/usr/sbin/policy-rc.d"
    chmod 755 "$work/conf/usr/sbin/policy-rc.d"
    mmdebstrap --quiet --format=tar --variant=minbase --include=usr-is-merged --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
      --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' --dpkgopt=force-unsafe-io \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      --customize-hook="copy-in $work/conf/etc $work/conf/usr /" \
      --customize-hook='rm -rf "$1"/etc/apt/sources.list "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/log/*' \
      --customize-hook='rm -f "$1"/etc/hostname "$1"/etc/resolv.conf' \
      bookworm "$out.new" "deb $mirror bookworm main" "deb $mirror bookworm-updates main" >"$work/log" 2>&1 || {
      tail -20 "$work/log" >&2
      exit 1
    }
    ;;
  *)
    echo "make.sh: busybox or debian, not $kind" >&2
    exit 2
    ;;
esac
mv "$out.new" "$out"
