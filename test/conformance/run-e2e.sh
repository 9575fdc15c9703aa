#!/bin/sh
# Runs Compose's offline end-to-end scenarios against dist/tcompose on a state root of their own, and takes it away.
#   run-e2e.sh SCENARIOS_DIR [ARGS OF run.py...]     e.g.  run-e2e.sh ../shared/conformance/e2e --filter Scale
# What cannot pass is listed in e2e-exceptions.json with its reason.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
scenarios=$(cd "${1:?the folder with run.py}" && pwd)
shift
TCOMPOSE_ROOT=$(mktemp -d)
export TCOMPOSE_ROOT DOCKER_CONFIG="$here/docker-config" PATH="$here/bin:$PATH"
trap 'rm -rf "$TCOMPOSE_ROOT"' EXIT
"$here/e2e-images.sh" "$root/dist/tcompose"
status=0
python3 "$scenarios/run.py" --offline --compose "$root/dist/tcompose" --adapter "$here/e2e-adapter" "$@" || status=$?
"$root/dist/tcompose" system prune -a -f --volumes >/dev/null 2>&1 || true
exit $status
