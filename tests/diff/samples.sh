#!/usr/bin/env bash
# Every sample, under the kernel and welded: equal maps, in both engines.
. "$(dirname "$0")/common-diff.sh"
S=$SOURCE/samples

# A program of our own: NAME [WELD OPTIONS] -- ARGS
own() {
	local name=$1 opts=(); shift
	while [ "$1" != -- ]; do opts+=("$1"); shift; done
	shift
	$CC -O2 -pthread -o $t/$name $S/$name.c
	judge $t/$name $O/$name.bpf.o "${opts[@]}" -- $t/$name "$@"
}

own count --
own words -- to be or not to be that is the question to be
own latency --
CC="$CC -fno-omit-frame-pointer" own callers --
if [ -e /usr/include/x86_64-linux-gnu/sys/sdt.h ]; then
	own orders --
else
	echo "skipped: systemtap-sdt-dev is not installed"
fi
own filter --set min_size=64 -p note=uprobe:give,cookie=1 \
	-p note=uprobe:take,cookie=2 --

cat > $t/script <<'EOF'
set -o history
greet() { echo "hello, $1"; }
for i in 1 2 3; do greet "$i"; done
greet world
greet world
EOF
judge /bin/bash $O/bash_lines.bpf.o -- /bin/bash $t/script

if command -v redis-server redis-cli >/dev/null; then
	cat > $t/redis.sh <<'EOF'
redis-server --port 0 --unixsocket "$1" --save '' --daemonize no >/dev/null &
pid=$!
for i in $(seq 100); do [ -S "$1" ] && break; sleep 0.05; done
for c in "set a 1" "get a" "incr a" "lpush l x y z" "lrange l 0 -1" "del a"; do
	redis-cli -s "$1" $c
done
kill $pid
wait $pid
EOF
	judge /usr/bin/redis-server $O/redis_commands.bpf.o -- \
		bash $t/redis.sh $t/redis.sock
else
	echo "skipped: redis is not installed"
fi

lib=/usr/lib/x86_64-linux-gnu/libcrypto.so.3
if [ -e $lib ] && command -v openssl >/dev/null; then
	judge $lib $O/digests.bpf.o -- openssl dgst -sha256 $SOURCE/LICENSE
else
	echo "skipped: openssl is not installed"
fi

if [ -e /usr/bin/python3.11 ]; then
	judge /usr/bin/python3.11 $O/python_calls.bpf.o -- \
		/usr/bin/python3.11 -c 'import gc, json
print(json.dumps([1, 2, 3]))
gc.collect()'
else
	echo "skipped: python3.11 is not installed"
fi
