#!/bin/sh
# Brings the demo up, shows that it answers, and says how to look around and how to take it down.
set -eu
cd "$(dirname "$0")/../.."
tcompose=$PWD/dist/tcompose
file=examples/demo/compose.yaml
port=${DEMO_PORT:-8080}

report=$("$tcompose" doctor) || {
  printf '%s\nThe host is not ready: the lines with FAIL say what mends it.\n' "$report" >&2
  exit 1
}
if ! "$tcompose" image inspect debian:bookworm-slim >/dev/null 2>&1; then
  echo 'demo: making the base image debian:bookworm-slim from packages (once)'
  base=$(mktemp -d)
  trap 'rm -rf "$base"' EXIT
  sh examples/images/make.sh debian "$base/debian.tar"
  "$tcompose" image import --change 'CMD ["bash"]' "$base/debian.tar" debian:bookworm-slim >/dev/null
fi
"$tcompose" -f "$file" up -d --build --wait

answer=$(curl -fsS --retry 10 --retry-connrefused --retry-delay 1 "http://localhost:$port/")
printf '\n$ curl http://localhost:%s/\n%s\n' "$port" "$answer"
cat <<TXT

The demo is up: http://localhost:$port

  curl -d 'a note of mine' http://localhost:$port/      add a row
  dist/tcompose -f $file ps                             what runs
  dist/tcompose -f $file logs -f api                    what the API says
  dist/tcompose -f $file exec db psql -U demo demo      look into the database
  dist/tcompose -f $file stop; dist/tcompose -f $file start
  dist/tcompose -f $file down                           take it down, keep the rows
  dist/tcompose -f $file down -v                        take it down with its volumes
TXT
