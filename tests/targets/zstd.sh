# SPDX-License-Identifier: MIT
# A workload for zstd and libzstd: levels, dictionaries, long windows, damage.
# bash zstd.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C
seq 1 20000 >data
for ((i = 0; i < 60; i++)); do
	printf '{"id": %d, "name": "user%d", "tags": ["a", "b%d"]}\n' \
		$i $((i * 7 % 31)) $((i % 5)) >"s.$i"
done
zstd() { command zstd -q --single-thread "$@"; }
for ((i = 0; i < times; i++)); do
	for how in -1 -3 -9 -19 --fast=5 "--long=20 -6" "--no-check -12" \
		"--ultra -22"; do
		# shellcheck disable=SC2086
		zstd -c $how data >packed
		cksum <packed
		zstd -dc --long=27 packed | cksum
	done
	zstd --train --maxdict=2000 -f -o dict s.*
	cksum <dict
	zstd -c -D dict s.7 >packed
	cksum <packed
	zstd -dc -D dict packed
	zstd -dc packed 2>&1 || echo "exit $?"
	zstd -f data -o data.zst
	zstd -lv data.zst 2>&1 | grep -v '^#' | sed 's/ *$//'
	cp data.zst bad.zst
	printf 'XXX' | dd of=bad.zst bs=1 seek=5000 conv=notrunc status=none
	zstd -t bad.zst 2>&1 || echo "exit $?"
	zstd -dc <data 2>&1 || echo "exit $?"
	zstd -c --format=gzip data | gzip -dc | cksum
done
