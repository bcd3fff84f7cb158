#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bpf_probe_write_user, which kernels under lockdown do not let anybody use: what
# the target then sees, and what of its memory cannot be written.
. "$(dirname "$0")/../common.sh"
cat > $t/target.c <<'X'
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
static const char frozen[16] = "frozen";
__attribute__((noinline, noclone)) void say(char *text, const char *frozen,
					    char *edge)
{
	__asm__ volatile("" : : "r"(text), "r"(frozen), "r"(edge) : "memory");
	printf("%s %s %s\n", text, frozen, edge);
}
int main(void)
{
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char text[16] = "original";

	strcpy(two + 4092, "edge");
	mprotect(two + 4096, 4096, PROT_READ);
	say(text, frozen, two + 4092);
	return 0;
}
X
cat > $t/write.bpf.c <<'X'
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
long ret[5];
SEC("uprobe/target:say") int write(struct pt_regs *ctx)
{
	const char text[] = "changed";

	ret[0] = bpf_probe_write_user((void *)PT_REGS_PARM1(ctx), text, 8);
	ret[1] = bpf_probe_write_user((void *)PT_REGS_PARM2(ctx), text, 8);
	ret[2] = bpf_probe_write_user((void *)PT_REGS_PARM3(ctx), text, 8);
	ret[3] = bpf_probe_write_user((void *)0, text, 8);
	ret[4] = bpf_probe_write_user((void *)PT_REGS_IP(ctx), text, 8);
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
X
$CC -O2 -o $t/target $t/target.c
bpf $t/write.bpf.c
for engine in native vm; do
	rm -f $t/region
	$W weld $t/target $t/write.bpf.o -o $t/welded --engine=$engine >/dev/null
	out=$($t/welded)
	[ "$out" = "changed frozen chan" ] || die "$engine: target says '$out'"
	$W map dump $t/welded .bss > $t/bss
	tr -d ' \n' < $t/bss | has '"ret":\[0,-14,-14,-14,-14\]' ||
		die "$engine: $(cat $t/bss)"
done
