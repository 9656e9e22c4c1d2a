#!/bin/sh
# Ensures that the PostgreSQL server programs are installed, which tests and benchmarks need.
# Prints nothing if they are; otherwise installs Debian's `postgresql` package, without starting a server.
set -eu

oldest_version=15

# The directories that src/programs.rs searches, too.
directories() {
    if [ -n "${PORTTASK_PG_BIN:-}" ]; then
        echo "$PORTTASK_PG_BIN"
        return
    fi
    for directory in /usr/lib/postgresql/*/bin; do
        echo "$directory"
    done
    pg_config --bindir 2>/dev/null || true
    echo "$PATH" | tr ':' '\n'
}

is_usable() {
    [ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
    # Such as `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
    version=$("$1/postgres" --version 2>/dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge "$oldest_version" ]
}

is_installed() {
    directories | {
        while IFS= read -r directory; do
            if is_usable "$directory"; then
                exit 0
            fi
        done
        exit 1
    }
}

give_up() {
    echo "setup: $1" >&2
    echo "setup: install the server of PostgreSQL $oldest_version or newer manually, and if its programs are not on" >&2
    echo "setup: the PATH, set PORTTASK_PG_BIN to the directory that contains \`postgres\` and \`initdb\`" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# The package lists may be missing, or list versions that the mirror has replaced.
install() {
    as_root apt-get install -y --no-install-recommends "$@" || {
        as_root apt-get update && as_root apt-get install -y --no-install-recommends "$@"
    }
}

if is_installed; then
    exit 0
fi
if [ -n "${PORTTASK_PG_BIN:-}" ]; then
    give_up "PORTTASK_PG_BIN is $PORTTASK_PG_BIN, which contains no server of PostgreSQL $oldest_version or newer"
fi
if ! command -v apt-get >/dev/null; then
    give_up "there is no PostgreSQL server, and without apt-get this script cannot install one"
fi
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    give_up "there is no PostgreSQL server, and installing one needs root or sudo"
fi

echo "setup: installing Debian's postgresql package"
install postgresql-common || give_up "apt-get could not install postgresql-common"

# Tests start their own servers; Debian's default server would only occupy a port.
configuration=/etc/postgresql-common/createcluster.conf
if grep -qs '^[# ]*create_main_cluster' "$configuration"; then
    as_root sed -i 's/^[# ]*create_main_cluster.*/create_main_cluster = false/' "$configuration"
else
    echo 'create_main_cluster = false' | as_root tee -a "$configuration" >/dev/null
fi

install postgresql || give_up "apt-get could not install postgresql"
is_installed || give_up "this system's postgresql package is older than $oldest_version"
