#!/bin/sh
# Runs the command `upstroke` from this checkout; sets everything up on first use.
#   sh scripts/upstroke.sh run cases/niederer
extras=view
. "$(dirname -- "$0")/setup.sh"
exec "$venv/bin/upstroke" "$@"
