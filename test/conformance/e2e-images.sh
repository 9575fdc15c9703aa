#!/bin/sh
# Makes the images that Compose's offline scenarios name, from busybox alone: alpine, bash, busybox, test, and an nginx
# that is busybox's httpd behind nginx's welcome page, with a curl that is its wget.
#   e2e-images.sh TCOMPOSE [BUSYBOX.tar]
set -eu
tcompose=${1:?the tcompose to load them into}
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar=${2:-$work/busybox.tar}
[ -e "$tar" ] || sh "$here/examples/images/make.sh" busybox "$tar" >/dev/null
path='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

mkdir -p "$work/base"
tar -C "$work/base" -xf "$tar"
ln -sf /bin/sh "$work/base/bin/bash"
# Debian's busybox has no printenv.
cat >"$work/base/bin/printenv" <<'TXT'
#!/bin/sh
[ $# -gt 0 ] || exec env
eval "[ -n \"\${$1+set}\" ] && printf '%s\\n' \"\$$1\""
TXT
chmod 755 "$work/base/bin/printenv"
mkdir -p "$work/base/usr/local/bin"
tar -C "$work/base" -cf "$work/base.tar" .
$tcompose image import -c "$path" -c 'CMD ["/bin/sh"]' "$work/base.tar" alpine:latest >/dev/null
for name in alpine:3.20 busybox:latest bash:latest test:latest; do $tcompose image tag alpine:latest "$name"; done

mkdir -p "$work/base/usr/share/nginx/html" "$work/base/usr/local/bin"
echo '<h1>Welcome to nginx!</h1>' >"$work/base/usr/share/nginx/html/index.html"
printf '#!/bin/sh\nfor url in "$@"; do :; done\nexec wget -q -O - "$url"\n' >"$work/base/usr/local/bin/curl"
chmod 755 "$work/base/usr/local/bin/curl"
tar -C "$work/base" -cf "$work/nginx.tar" .
$tcompose image import -c "$path" -c 'EXPOSE 80' -c 'STOPSIGNAL SIGQUIT' \
  -c 'CMD ["httpd","-f","-p","80","-h","/usr/share/nginx/html"]' "$work/nginx.tar" nginx:latest >/dev/null
$tcompose image tag nginx:latest nginx:alpine
