#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two threads write events as fast as they can, one consumer takes them out: each
# arrives once and in order, or is counted as lost.  EACH=100000000: about a minute.
. "$(dirname "$0")/../common.sh"
cd "$t"
each=${EACH:-400000}
reader=
trap 'kill $reader 2>/dev/null || true; rm -rf "$t"' EXIT
sanitize=
grep -q '^SANITIZE:BOOL=ON' "$BUILD/CMakeCache.txt" &&
	sanitize="-fsanitize=address,undefined"
DESTDIR=$t/root cmake --install "$BUILD" > install.log || die "$(cat install.log)"
lib=$(dirname "$(find "$t/root" -name libbpfweld.so)")
include=$(dirname "$(dirname "$(find "$t/root" -name reader.h)")")
# shellcheck disable=SC2086
$CC -O2 -Wall -Werror $sanitize -I"$include" -o ring_long \
	"$SOURCE/tests/e2e/ring_long.c" -L"$lib" -lbpfweld -Wl,-rpath,"$lib"
sed -n '/^cat > ring.c/,/^X/p' "$SOURCE/tests/e2e/ring.sh" | sed '1d; $d' > ring.c
$CC -O1 -pthread -o ring ring.c
$W weld ring "$O/ring.bpf.o" -o w > /dev/null
./w 0 1 0 # makes the region
./ring_long w "$each" > out 2>&1 & reader=$!
sleep .2
begin=$(date +%s)
./w 0 2 "$each"
echo "$((2 * each)) events in $(($(date +%s) - begin)) s"
for _ in $(seq 300); do
	kill -0 $reader 2>/dev/null || break
	sleep .1
done
! kill -0 $reader 2>/dev/null || die "the reader does not end: $(cat out)"
status=0
wait $reader || status=$?
reader=
cat out
[ $status = 0 ] || die "the reader: exit $status"
