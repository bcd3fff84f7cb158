# SPDX-License-Identifier: MIT
# A workload for tar: archives made, listed, compared, changed and extracted.
# bash tar.sh DIRECTORY [TIMES]
set -e
rm -rf "$1/work"
mkdir -p "$1/work"
cd "$1/work"
times=${2:-1}
export LC_ALL=C TZ=UTC
for ((i = 0; i < times; i++)); do
	rm -rf tree out ./*.tar
	mkdir -p tree/deep/er
	for f in a b c; do seq 1 50 >"tree/$f.txt"; done
	ln tree/a.txt tree/hard
	ln -s a.txt tree/soft
	truncate -s 100k tree/sparse
	echo end >>tree/sparse
	: >"tree/deep/er/$(printf 'n%.0s' {1..120})"
	how=(--sort=name --mtime=@1700000000 --owner=o:1 --group=g:1)
	for format in gnu pax ustar v7; do
		tar "${how[@]}" --format=$format -cf $format.tar tree 2>&1 || true
		tar -tvf $format.tar | cut -c1-60
	done
	tar "${how[@]}" -S -czf packed.tar.gz tree
	tar -rf gnu.tar --mtime=@1700000000 -C tree a.txt
	tar --delete -f gnu.tar tree/b.txt
	tar -tf gnu.tar | cksum
	mkdir out
	tar -xzf packed.tar.gz -C out --strip-components=1 \
		--transform='s/txt$/text/' --exclude=soft
	ls out | cksum
	tar -df pax.tar 2>&1 || echo "exit $?"
	echo changed >tree/a.txt
	tar -df pax.tar 2>&1 | grep -v 'Mod time' || true
	tar -xf none.tar 2>&1 || echo "exit $?"
	head -c 700 ustar.tar >cut.tar
	tar -tf cut.tar 2>&1 || echo "exit $?"
done
