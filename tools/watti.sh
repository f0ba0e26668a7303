#!/bin/sh
# Watti from a fresh clone: sets up .venv in the repository when that is needed, then runs
#
#   tools/watti.sh bench [ARGUMENTS]   stations on a virtual RS-485 line, in real time
#   tools/watti.sh tests [ARGUMENTS]   the test suite; the arguments are pytest's, paths from the repository's root
#   tools/watti.sh WORD [ARGUMENTS]    any other command of `watti`: status, switch, simulate ...
#
# Needs git, Python 3.11 or newer and its venv module (Debian: python3-venv). PYTHON names another interpreter.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd -P)
venv=$root/.venv
python=${PYTHON:-python3}

say() { printf 'watti.sh: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

check_python() {
    command -v "$python" >/dev/null || die "$python is missing: install Python 3.11 or newer (Debian: python3 python3-venv)"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "Python 3.11 or newer is needed, $python is $("$python" -V 2>&1); name another one: PYTHON=python3.11 $0"
}

# An environment is bound to its folder and to the interpreter it was made with.
place() { printf '%s\n' "$root"; readlink -f -- "$venv/bin/python"; }

# Nothing says that the environment is broken: one made by hand has no mark of ours.
intact() {
    [ -x "$venv/bin/python" ] && [ ! -e "$venv/.watti-unfinished" ] || return 1
    [ ! -e "$venv/.watti-place" ] || [ "$(place)" = "$(cat "$venv/.watti-place")" ]
}

create() {
    check_python
    if [ -e "$venv/.watti-unfinished" ] || [ -e "$venv/.watti-place" ]; then rm -rf -- "$venv"; fi
    mkdir -p "$venv"
    : >"$venv/.watti-unfinished"
    "$python" -m venv "$venv" >&2 ||
        die "$python -m venv failed: install its venv module (Debian: apt-get install python3-venv)"
}

# install WHAT: `core`, with what its commands draw with, or `dev`. A set-up that is interrupted leaves
# .watti-unfinished and is begun anew.
install() {
    say "setting up $venv ($1), some seconds ..."
    { intact && "$venv/bin/python" -m pip --version >/dev/null 2>&1; } || create
    : >"$venv/.watti-unfinished"
    rm -f "$venv/.watti-core" "$venv/.watti-dev"
    extra=screen,report,torture,raspberry; [ "$1" = core ] || extra=dev
    (cd "$root" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extra]") >&2 ||
        die "pip could not install what pyproject.toml asks for: see above; is there a network?"
    place >"$venv/.watti-place"
    cksum <"$root/pyproject.toml" >"$venv/.watti-$1"
    rm "$venv/.watti-unfinished"
}

# fresh WHAT: is WHAT installed, as pyproject.toml asks for it now?
fresh() { cksum <"$root/pyproject.toml" | cmp -s - "$venv/.watti-$1" 2>/dev/null; }

# One set-up at a time. The kernel frees the lock when its holder ends, however it ends.
ensure() {
    command -v flock >/dev/null || die "flock is missing: install util-linux"
    exec 9>"$root/.venv.lock"
    flock -n 9 || { say "waiting for another set-up of $venv"; flock 9; }
    if ! intact || ! { fresh dev || { [ "$1" = core ] && fresh core; }; }; then install "$1"; fi
    exec 9>&-
}

if [ "${1-}" = tests ]; then
    shift
    ensure dev
    cd "$root"
    # All tests: half of them wait for a bench in real time, so three processes share two cores, a file at a time.
    [ $# -gt 0 ] || set -- -n 3 --dist loadfile --no-loadscope-reorder
    exec "$venv/bin/pytest" "$@"
fi
ensure core
WATTI_COMMAND=$0 exec "$venv/bin/watti" "$@"
