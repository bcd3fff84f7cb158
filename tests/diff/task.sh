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

# Where it has no parent, or there is no /proc, it reads 0 and goes on.
$W weld $t/task $O/task.bpf.o -o $t/task.weld > $t/log
export BPFWELD_REGION=$t/region
goes_on() {
	rm -f $t/region
	"$@" || die "exit $? of $*"
	$W map dump $t/task.weld .bss -j > $t/bss
	grep -q '"oldest":\[1,1,1,1,1,1,1,0\]' $t/bss || die "$*: $(cat $t/bss)"
}
goes_on $t/task.weld
if unshare -m true 2> $t/log; then
	goes_on unshare -pf --mount-proc $t/task.weld
	goes_on unshare -m sh -c "umount -l /proc && exec $t/task.weld"
else
	echo "not tried without /proc: $(cat $t/log)"
fi
