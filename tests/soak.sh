#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# soak.sh - the long runs: the suite's random tests with more seeds, the hash
# model one level deeper.  About an hour on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
export SOURCE=$PWD BUILD=${BUILD:-$PWD/build/release}
SEEDS=${SEEDS:-20}

for seed in $(seq "$SEEDS"); do
	echo "random functions, seed $seed"
	bash tests/patch/stress.sh "$seed" 8 150
	"$BUILD/tests/unit-effects" 1000000 "$seed"
done
KERNEL_COUNT=100000 bash tests/bpf/kernel.sh || [ $? = 77 ]
RANDOM_COUNT=150000 bash tests/bpf/random.sh
HASH_MODEL_DEPTH=3 "$BUILD/tests/unit-hash_model"
