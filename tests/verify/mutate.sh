#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# mutate.sh - MUTATE_COUNT programs with something changed, from MUTATE_SEED on,
# judged by the running kernel's verifier and by ours.  The programs are those
# of all objects of ours and of Debian's tools, and of the kernel's selftests if
# selftests.sh has compiled them.
. "$(dirname "$0")/../common.sh"
need python3
for source in "$here"/verify/*.bpf.c; do
	bpf "$source"
done
objects=("$t"/*.bpf.o "$O"/*.bpf.o)
for tool in bashreadline gethostlatency funclatency javagc; do
	[ -x /usr/sbin/$tool ] || continue
	python3 $SOURCE/tests/diff/tools_objects.py /usr/sbin/$tool $t/$tool.o
	objects+=("$t/$tool.o")
done
for object in "$BUILD"/selftests/obj/*.o; do
	[ ! -e "$object" ] || objects+=("$object")
done

status=0
"$BUILD/tests/mutate" ${MUTATE_COUNT-1000} ${MUTATE_SEED-1} "${objects[@]}" \
	> $t/out || status=$?
[ $status != 77 ] || skip "$(cat $t/out)"
sed "s|$t/||g; s|$BUILD/||g" $t/out
[ $status = 0 ] || die "exit $status"
for verdict in 'both accept' 'both refuse' 'guarded, not refused'; do
	grep "^$verdict *[1-9]" $t/out > $t/some || die "none: $verdict"
done
