#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# versus.sh - VERSUS_COUNT random programs from VERSUS_SEED on, judged by the
# running kernel's verifier and by ours, and by ours in another way.
. "$(dirname "$0")/../common.sh"
status=0
"$BUILD/tests/versus" ${VERSUS_COUNT-1000} ${VERSUS_SEED-1} > $t/out || status=$?
[ $status != 77 ] || skip "$(cat $t/out)"
cat $t/out
[ $status = 0 ] || die "exit $status"
# If it made nothing but trash, or nothing of note, it would show nothing.
for verdict in 'both accept' 'both refuse' 'guarded, not refused'; do
	grep "^$verdict *[1-9]" $t/out > $t/some || die "none: $verdict"
done
