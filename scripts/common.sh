# Sourced by the other scripts: where things are, and one way to speak. Bash 4 or newer.
#
# What is downloaded or built for the tests is kept outside the tree, in CACHE, under a name that
# carries its version: a new version is a new name, so nothing there is ever stale.

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${HEADGATE_VENV:-$ROOT/.venv}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/headgate

say() { printf '==> %s\n' "$*" >&2; }

# die WHAT HOW-TO-MEND-IT
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '       %s\n' "$2" >&2
    exit 1
}

# quietly COMMAND...: its output is shown only when it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || { printf 'failed: %s\n' "$*" >&2; cat "$log" >&2; }
    rm -f "$log"
    return "$status"
}

# find_python: prints a Python >= 3.11 that runs and can make environments. The distribution's own come first: they
# are built with profile feedback, and a proxy on them is a fifth faster than on a version manager's default build.
# A name on the PATH proves nothing: version managers put shims there for versions that they do not have.
find_python() {
    local name
    for name in ${PYTHON:-} /usr/bin/python3.{13,12,11} python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    die "no Python 3.11 or newer with venv was found" "on Debian: apt-get install python3 python3-venv"
}

# make_venv FOLDER: an environment, made anew where what is there does not run.
make_venv() {
    "$1/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && return
    local python
    python=$(find_python)
    say "making $(basename "$1") with $("$python" --version)"
    quietly "$python" -m venv --clear "$1"
}
