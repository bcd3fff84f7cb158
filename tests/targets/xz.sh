# SPDX-License-Identifier: MIT
# A workload for xz and liblzma: formats, filters, checks, damaged files.
# bash xz.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C
seq 1 20000 >data
head -c 3000 /bin/true >code
for ((i = 0; i < times; i++)); do
	for how in -0 -6 "-9e -T1" "--check=sha256 --block-size=20000" \
		"--lzma2=preset=2,lc=1,pb=0" "--format=lzma -3" \
		"--delta=dist=2 --lzma2=mf=hc4,mode=fast" \
		"--x86 --lzma2=nice=40"; do
		# shellcheck disable=SC2086
		xz -c -q $how data code >packed
		cksum <packed
		[[ $how = *lzma\ * ]] || xz -t packed
		xz -dc packed | cksum
	done
	xz -k -f data
	xz -l --robot data.xz
	xz -lvv data.xz | sed 's/ *$//'
	cp data.xz bad.xz
	printf 'X' | dd of=bad.xz bs=1 seek=500 conv=notrunc status=none
	xz -t bad.xz 2>&1 || echo "exit $?"
	head -c 900 data.xz | xz -dc 2>&1 | cksum
	xz -dc <data 2>&1 || echo "exit $?"
	cat data.xz data.xz | xz -dc | cksum
	xz -dc --memlimit=1k data.xz 2>&1 | cksum
done
