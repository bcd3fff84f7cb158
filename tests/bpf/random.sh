#!/usr/bin/env bash
# Random programs give the same result and the same maps in all engines.
# RANDOM_COUNT and RANDOM_SEED choose others than the usual ones.
. "$(dirname "$0")/../common.sh"
"$BUILD/tests/bpf_plugin" --random=${RANDOM_COUNT:-4000},${RANDOM_SEED:-1}
