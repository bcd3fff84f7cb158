#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What programs read of their task, as under the kernel.
. "$(dirname "$0")/common-diff.sh"
$CC -O2 -pthread -o $t/task $D/task.c
judge $t/task $O/task.bpf.o -- $t/task

# What is masked is what varies by nature, and what no user space has.
$W diff -v $t/task $O/task.bpf.o -- $t/task 2>/dev/null |
	grep '^masked' > $t/masked
diff - $t/masked <<'END' || die "masked: other fields"
masked: .bss.first: 1
END
