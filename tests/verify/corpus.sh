#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# corpus.sh [-v] - our own objects and those of Debian's tools, judged by the
# running kernel and by us: what it accepts, we accept.
. "$(dirname "$0")/../common.sh"
need python3
# slot_: what is wrong with these is in their maps.
objects=()
for object in "$O"/*.bpf.o; do
	[[ $object == */slot_* ]] || objects+=("$object")
done
for tool in bashreadline gethostlatency funclatency javagc; do
	[ -x /usr/sbin/$tool ] || continue
	python3 $SOURCE/tests/diff/tools_objects.py /usr/sbin/$tool $t/$tool.o
	objects+=("$t/$tool.o")
done

V=$BUILD/tests/verdict
status=0
$V --kernel "${objects[@]}" > $t/kernel 2> $t/why || status=$?
[ $status != 77 ] || skip "$(cat $t/why)"
[ $status = 0 ] || die "$(cat $t/why)"
$V "${objects[@]}" > $t/ours
python3 $SOURCE/tests/verify/compare.py --refused-max 0 "$@" $t/kernel $t/ours
