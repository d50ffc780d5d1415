#!/bin/sh
# Lints, type-checks and tests this checkout; sets everything up on first use. Arguments go to pytest instead:
#   sh scripts/test.sh                 everything
#   sh scripts/test.sh tests/unit      some of it, without lint and types
extras=view,test
. "$(dirname -- "$0")/setup.sh"
cd "$root" || exit 1
run_tests() { exec "$venv/bin/python" -m pytest -n auto --dist loadfile "$@"; }      # a file of tests to each core
if [ $# -gt 0 ]; then
    run_tests "$@"
fi
"$venv/bin/python" -m ruff check . || exit 1
"$venv/bin/python" -m mypy || exit 1
run_tests
