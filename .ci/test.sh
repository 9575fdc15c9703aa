#!/bin/sh
# Everything a change must pass: lint, types, then unit, integration and e2e tests. Closes with `N passed, N failed`.
set -u
cd "$(dirname "$0")/.."
PATH="$PWD/node_modules/.bin:$PATH"
exec node .ci/test.mjs "$@"
