# Makes .venv beside this folder and installs Upstroke into it, once and again after pyproject.toml has changed.
# Sourced by upstroke.sh and test.sh, which say in $extras what they need. Needs Python >= 3.11 with pip, no more.

fail() { echo "upstroke: $*" >&2; exit 1; }

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
venv=$root/.venv

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"; return
        fi
    done
    fail "no Python >= 3.11 found; install one, or name it: PYTHON=/path/to/python3 sh $0"
}

working_compiler() {     # true where cc can build a shared library, as the kernels need
    command -v cc >/dev/null 2>&1 || return 1
    probe=$(mktemp -d) || return 1
    echo 'int f(void) { return 0; }' >"$probe/f.c"
    cc -shared -fPIC -o "$probe/f.so" "$probe/f.c" >/dev/null 2>&1
    status=$?
    rm -rf "$probe"
    return $status
}

working_compiler || extras=$extras,compiler
stamp=$venv/.upstroke-$(echo "$extras" | tr , -)
if ! [ -e "$stamp" ] || [ -n "$(find "$root/pyproject.toml" -newer "$stamp")" ]; then
    python=$(find_python) || exit 1
    echo "upstroke: setting up $venv (once; a minute or two)" >&2
    if ! [ -x "$venv/bin/python" ]; then
        "$python" -m venv "$venv" || { rm -rf "$venv"; fail "cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; }
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root[$extras]" >&2 ||
        fail "installation failed (see above); mend it and run this again"
    touch "$stamp"
fi
