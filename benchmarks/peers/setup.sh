#!/bin/sh
# Makes one virtual environment per peer under .peers/ of this checkout, from PyPI through pip alone:
#   sh benchmarks/peers/setup.sh               all peers
#   sh benchmarks/peers/setup.sh finitewave    one of them
# Each peer has its own, for their dependencies contradict each other and ours (Finitewave wants numpy < 2).
# A peer that cannot be installed is said so; the rest goes on. Exit status 0 when all asked for are there, else 1.
# A finished environment is kept: remove .peers/NAME to make it anew.

root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
peers=$root/.peers

say() { echo "peers: $*" >&2; }

find_python() {          # numpy < 2, which Finitewave needs, has no wheels for newer ones than 3.12
    for candidate in ${PYTHON:-} python3 python3.12 python3.11 python3.10; do
        if "$candidate" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; then
            echo "$candidate"; return
        fi
    done
    return 1
}

torch() {                # a CPU build where pip's index offers one (half a gigabyte in place of several), else what it has
    version=$("$1" -m pip index versions torch 2>/dev/null | grep -o '[0-9][0-9.]*+cpu' | head -n 1)
    [ -n "$version" ] || say "pip's index has no CPU build of torch; installing the default one, several gigabytes on Linux"
    echo "torch${version:+==$version}"
}

requirements() {         # NAME PYTHON: what pip has to install
    case $1 in
        finitewave) echo "finitewave>=0.9.3 numpy<2" ;;
        torchcor) echo "torchcor>=1.0.6 $(torch "$2")" ;;
        neuron) echo "neuron>=9.0.2" ;;
        arbor) echo "arbor>=0.12.2" ;;
        jaxley) echo "jaxley>=0.13 jax" ;;
    esac
}

install() {              # NAME
    venv=$peers/$1
    if [ -e "$venv/.ready" ]; then say "$1: already in $venv"; return; fi
    started=$(date +%s)
    if ! python=$(find_python); then say "$1: no Python 3.10 to 3.12 found; name one: PYTHON=/path/to/python3 sh $0"; return 1; fi
    mkdir -p "$peers" && rm -rf "$venv" && "$python" -m venv "$venv" ||
        { say "$1: cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; return 1; }
    # shellcheck disable=SC2046  # one word per requirement is meant; none contains a blank
    "$venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check $(requirements "$1" "$venv/bin/python") >&2 ||
        { say "$1: not installed (see above)"; return 1; }
    "$venv/bin/python" -c "import $1" || { say "$1: installed, but does not import (see above)"; return 1; }
    touch "$venv/.ready"
    say "$1: $("$venv/bin/python" -m pip list --disable-pip-version-check 2>/dev/null | awk -v p="$1" 'tolower($1) == p { print $2 }')" \
        "in $venv, $(du -sm "$venv" | cut -f 1) MB, $(($(date +%s) - started)) s"
}

status=0
for peer in ${*:-finitewave torchcor neuron arbor jaxley}; do
    case $peer in
        finitewave | torchcor | neuron | arbor | jaxley) install "$peer" || status=1 ;;
        *) say "no peer '$peer'; there are finitewave, torchcor, neuron, arbor and jaxley"; status=1 ;;
    esac
done
exit $status
