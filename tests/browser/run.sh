#!/bin/sh
# Runs a command of Node.js in this directory, with the packages of package-lock.json, against the binary in $PORTTASK.
# Where Node.js, npm, Chromium or the packages are missing, it says so and succeeds; with CI=true it fails.
set -eu
cd "$(dirname "$0")"

leave_out() {
    echo "browser tests: $1; the console was not tested in a browser" >&2
    if [ "${CI:-}" = true ]; then exit 1; fi
    exit 0
}

command -v node >/dev/null && command -v npm >/dev/null || leave_out "Node.js or npm is missing (Debian: nodejs npm)"
node -e 'const [a, b] = process.versions.node.split("."); process.exit(+a > 18 || (+a === 18 && +b >= 19) ? 0 : 1)' ||
    leave_out "Node.js is older than 18.19"
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || leave_out "Chromium is missing (Debian: chromium; elsewhere, set CHROMIUM to its path)"
if ! [ node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >&2 || leave_out "npm could not install the packages"
    touch node_modules/.package-lock.json
fi
exec node "$@"
