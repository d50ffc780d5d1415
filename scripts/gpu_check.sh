#!/bin/sh
# Checks and measures Upstroke on an NVIDIA GPU: one command, under 10 minutes, a table last.
#
#   sh scripts/gpu_check.sh               on a machine with a GPU, a C compiler, CuPy, NumPy, SciPy and h5py
#   sh scripts/gpu_check.sh --pack        first, on a machine with a network: the small pure-Python packages that
#                                         Upstroke and its tests need, into .wheels/, to be carried along
#   sh scripts/gpu_check.sh --emulated    the same steps, tiny, with the tests' stand-in for CuPy: checks this script
#
# Correctness first (tests/gpu), then memory checks (compute-sanitizer, where it is on the PATH), then benchmarks
# (benchmarks/gpu_*.py). A part that fails stops nothing; the exit status is 1 where any failed.
#
#   PYTHON=python3        which Python
#   WHEELS=.wheels        where the carried packages are
#   RESULTS=DIR           where tables and JSON go; default benchmarks/results
#   SECONDS_IN_ALL=540    time for everything
#   UPSTROKE_COMMIT=...   the commit, where there is no git

PACK="pint flexcache flexparser platformdirs typing_extensions lark meshio rich markdown-it-py mdurl pygments tqdm
      pytest pluggy iniconfig packaging"

PATH=$PATH:/usr/local/cuda/bin       # compute-sanitizer and nvdisasm, where the toolkit is not on the path
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
python=${PYTHON:-python3}
wheels=${WHEELS:-$root/.wheels}
cd "$root" || exit 1

if [ "${1:-}" = --pack ]; then
    mkdir -p "$wheels" || exit 1
    # shellcheck disable=SC2086  # one word per package is meant
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.11 \
        --implementation py --abi none --platform any --dest "$wheels" $PACK torchcor nvidia-ml-py || exit 1
    echo "packed into $wheels: $(ls "$wheels" | wc -l) files, $(du -sk "$wheels" | cut -f 1) kB; carry it along"
    exit 0
fi

emulated=
[ "${1:-}" = --emulated ] && emulated=--emulated && shift
[ $# -eq 0 ] || { echo "usage: sh scripts/gpu_check.sh [--pack | --emulated]" >&2; exit 2; }

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
began=$(date +%s)
total=${SECONDS_IN_ALL:-540}
RESULTS=${RESULTS:-$root/benchmarks/results}
PYTHONUNBUFFERED=1
PYTHONPATH=$work/site:$root/solver${PYTHONPATH:+:$PYTHONPATH}
[ -z "$emulated" ] || PYTHONPATH=$root/tests/emulated:$PYTHONPATH
export RESULTS PYTHONUNBUFFERED PYTHONPATH
mkdir -p "$work/site" "$RESULTS" || exit 1
: >"$work/parts"
status=0

# Carried packages that this Python lacks; a pure-Python wheel is a zip of what belongs on the path.
"$python" - "$wheels" "$work/site" <<'PYTHON' || exit 1
import importlib.util, sys, zipfile
from pathlib import Path

IMPORTS = {"markdown-it-py": "markdown_it", "nvidia-ml-py": "pynvml"}
wheels = {w.name.split("-")[0].lower().replace("_", "-"): w for w in Path(sys.argv[1]).glob("*-none-any.whl")}
unpacked = []
for name, wheel in sorted(wheels.items()):
    if importlib.util.find_spec(IMPORTS.get(name, name.replace("-", "_"))) is None:
        zipfile.ZipFile(wheel).extractall(sys.argv[2])
        unpacked.append(wheel.name)
print("carried packages in use:", ", ".join(unpacked) or "none")
needed = ("numpy", "scipy", "h5py", "cupy", "pint", "lark", "meshio", "tqdm", "pytest")
sys.path.insert(0, sys.argv[2])
missing = [name for name in needed if importlib.util.find_spec(name) is None]
if missing:
    small = [name for name in missing if name not in ("numpy", "scipy", "h5py", "cupy")]
    print("gpu_check: this Python lacks", ", ".join(missing), file=sys.stderr)
    if len(small) < len(missing):
        print("  numpy, scipy, h5py and CuPy (cupy-cuda12x or cupy-cuda13x) have to be installed here", file=sys.stderr)
    if small:
        print(f"  run 'sh scripts/gpu_check.sh --pack' where there is a network, and bring {sys.argv[1]} along",
              file=sys.stderr)
    sys.exit(1)
PYTHON

left() { echo $((total - $(date +%s) + began)); }

part() {                 # NAME SECONDS COMMAND...: runs it, says how it ended; kills it where it overruns
    name=$1 most=$2
    shift 2
    if [ "$(left)" -lt 15 ]; then
        echo "| $name | left out: no time | - |" >>"$work/parts"
        status=1
        return
    fi
    [ "$most" -le "$(left)" ] || most=$(left)
    echo
    echo "== $name (at most $most s)"
    from=$(date +%s)
    timeout -k 5 "$most" "$@"
    code=$?
    case $code in
        0) verdict=ok ;;
        3) verdict="left out: see above" ;;
        124 | 137) verdict="FAILED: over $most s" status=1 ;;
        *) verdict="FAILED: exit status $code" status=1 ;;
    esac
    echo "| $name | $verdict | $(($(date +%s) - from)) |" >>"$work/parts"
}

benchmark() {            # NAME SECONDS: the script's own budget leaves it time to write its table
    budget=$2
    [ "$budget" -le $(($(left) - 15)) ] || budget=$(($(left) - 15))
    part "$1" $((budget + 30)) "$python" "benchmarks/$1.py" --budget "$budget" $emulated
}

part environment 30 "$python" benchmarks/gpu_common.py $emulated
part tests/gpu 170 "$python" -m pytest tests/gpu -q -p no:cacheprovider -rs --durations=5

for tool in memcheck racecheck initcheck; do
    if [ -n "$emulated" ]; then
        part "memory: $tool" 60 "$python" tests/gpu/tiny.py
        break            # the tool itself needs a device
    elif command -v compute-sanitizer >/dev/null 2>&1; then
        part "memory: $tool" 40 compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 5 "$python" tests/gpu/tiny.py
    else
        echo "| memory: $tool | left out: no compute-sanitizer on the PATH | - |" >>"$work/parts"
    fi
done

benchmark gpu_kernels 70
benchmark gpu_niederer 80
benchmark gpu_torchcor 100
benchmark gpu_neurons 50
benchmark gpu_sweep 40
benchmark gpu_steps 150

echo
echo "== in all: $(($(date +%s) - began)) s; tables and JSON in $RESULTS${emulated:+ (none: emulated)}"
echo
echo "| part | verdict | seconds |"
echo "|---|---|---|"
cat "$work/parts"
exit $status
