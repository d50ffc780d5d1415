#!/bin/sh
# Lints, type-checks and tests this checkout; sets everything up on first use. Arguments go to pytest instead:
#   sh scripts/test.sh                 everything
#   sh scripts/test.sh tests/unit      some of it, without lint and types
extras=view,test
. "$(dirname -- "$0")/setup.sh"
cd "$root" || exit 1
if [ $# -gt 0 ]; then
    exec "$venv/bin/python" -m pytest "$@"
fi
"$venv/bin/python" -m ruff check . || exit 1
"$venv/bin/python" -m mypy || exit 1
exec "$venv/bin/python" -m pytest
