#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# soak.sh [TARGET...] - the long runs: all function entries of each development
# target welded at once, under its whole workload, and judged by the kernel; the
# coverage table over programs of every kind; every way out of a function, by
# every compiler; the kernel's tests of its verifier; the suite's random tests
# with more seeds; the hash model one level deeper.  About two hours on two
# cores.  With TARGETs, only theirs.
cd "$(dirname "$0")/.."
export SOURCE=$PWD BUILD=${BUILD:-$PWD/build/release}
SEEDS=${SEEDS:-20}
. tests/common.sh
. tests/targets/common.sh

unset SHORT
entries_begin
for name in ${*:-$(targets)}; do
	targets | grep -x "$name" >/dev/null || die "$name: no such target"
	target_find "$name" || continue
	coverage 98
	times=3
	# Once is ten million hits, and a hit is up to nine microseconds.
	[ "$name" != libcrypto ] || times=1
	judge
done
[ $# = 0 ] || exit 0

bash tests/scale.sh || [ $? = 77 ]
bash tests/coverage.sh
bash tests/diff/usdt_real.sh all
bash tests/diff/returns.sh all
bash tests/verify/selftests.sh all || [ $? = 77 ]
VERSUS_COUNT=200000 bash tests/verify/versus.sh || [ $? = 77 ]
MUTATE_COUNT=200000 bash tests/verify/mutate.sh || [ $? = 77 ]

for seed in $(seq "$SEEDS"); do
	echo "random functions, seed $seed"
	bash tests/patch/stress.sh "$seed" 8 150
	"$BUILD/tests/unit-effects" 1000000 "$seed"
done
KERNEL_COUNT=100000 bash tests/bpf/kernel.sh || [ $? = 77 ]
RANDOM_COUNT=150000 bash tests/bpf/random.sh
PROVE_COUNT=1000000 bash tests/bpf/prove.sh
FORMAT_COUNT=100000 "$BUILD/tests/unit-format"
HASH_MODEL_DEPTH=3 "$BUILD/tests/unit-hash_model"
RING_MODEL_DEPTH=3 "$BUILD/tests/unit-ring_model"
QUEUE_MODEL_DEPTH=3 "$BUILD/tests/unit-queue_model"
CALLS=10000000 SIGNALS=100000 KILLS=1000 bash tests/e2e/mapload.sh
CALLS=10000000 SIGNALS=100000 KILLS=1000 bash tests/e2e/ringload.sh
EACH=100000000 bash tests/e2e/ring_long.sh
COUNT=100000 SECONDS_EACH=60 CLI=200 bash tests/e2e/hostile.sh
