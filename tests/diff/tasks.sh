#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Clocks, the NUMA node and ids in a pid namespace, as under the kernel.
. "$(dirname "$0")/common-diff.sh"
helpers_build
# The nanoseconds of a tick are the resolution of the coarse clock.
hz=$(python3 -c 'import time; print(round(1 / time.clock_getres(6)))')
set_all=(--set dev=$(stat -Lc %d /proc/self/ns/pid)
	--set ino=$(stat -Lc %i /proc/self/ns/pid) --set hz=$hz)
judge $t/helpers $O/tasks.bpf.o "${set_all[@]}" -- $t/helpers

# What is masked is what varies by nature, and nothing else.
$W diff -v $t/helpers $O/tasks.bpf.o "${set_all[@]}" -- $t/helpers \
	2>/dev/null | grep '^masked' > $t/masked
diff - $t/masked <<'END' || die "masked: other fields"
masked: .bss.clocks.tai: 1
masked: .bss.clocks.ktime: 1
masked: .bss.clocks.boot: 1
masked: .bss.clocks.jiffies: 1
END

$CC -O2 -pthread -o $t/tasks $D/tasks.c
judge $t/tasks $O/tasks.bpf.o "${set_all[@]}" -- $t/tasks
