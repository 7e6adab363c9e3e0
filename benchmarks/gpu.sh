#!/bin/sh
# Runs gpu.py from the checkout on the machine's own Python, at most six minutes; results in $OUT/gpu.json.
#
#     OUT=/some/folder sh benchmarks/gpu.sh
cd "$(dirname "$0")/.." || exit
mkdir -p "${OUT:=.}"
export PYTHONPATH="$PWD" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
exec timeout 360 python3 benchmarks/gpu.py --output "$OUT/gpu.json" "$@"
