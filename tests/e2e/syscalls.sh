#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# list --syscalls: where a program makes system calls, and which; programs at these
# instructions see each of them.
. "$(dirname "$0")/../common.sh"
cat > $t/calls.S <<'X'
	.globl	_start, knows, unsure
	.type	_start, @function
	.type	knows, @function
	.type	unsure, @function
knows:	mov	$39, %eax		# getpid
	syscall
	mov	$0x102, %edi
	xor	%eax, %eax		# read(-1, ..): an error
	mov	$-1, %rdi
	syscall
	ret
	.size	knows, . - knows
unsure:	mov	$102, %eax		# getuid, or what the caller says
1:	syscall
	mov	$104, %eax
	mov	%ecx, %edx
	syscall				# getgid
	push	$107
	pop	%rax
	syscall				# geteuid, but not by a constant in eax
	mov	$0x050fb8, %eax		# a syscall inside of an instruction
	ret
	.size	unsure, . - unsure
_start:	call	knows
	call	unsure
	mov	$39, %eax
	call	1b
	xor	%edi, %edi
	mov	$231, %eax		# exit_group
	syscall
	hlt
	.size	_start, . - _start
	.section .note.GNU-stack,"",@progbits
X
$CC -nostdlib -static -o $t/calls $t/calls.S
$W list --syscalls $t/calls | awk '{ print $2, $3, $4 }' > $t/listed
diff $t/listed - <<'X' || die "the list is another"
39 syscall knows+0x5
0 syscall knows+0x15
- syscall unsure+0x5
104 syscall unsure+0xe
- syscall unsure+0x13
231 syscall _start+0x1b
X
$W list --syscalls -j $t/calls 'know?' > $t/json
grep -F '"known_from":"syscall","function":"knows","offset":5,"number":39}' \
	$t/json >/dev/null || die "JSON: $(cat $t/json)"
not $W list --syscalls $t/calls 'nobody*' 2> $t/err
grep -F 'no function with a system call matches nobody*' $t/err >/dev/null

$W list --syscalls $t/calls |
	sed 's/^\(0x[0-9a-f]*\).*/-p call=uprobe:\1/' > $t/probes
$W weld --strict $t/calls $O/syscount.bpf.o -p wrapper=none \
	$(cat $t/probes) -o $t/calls.weld
$t/calls.weld
$W map dump -j $t/calls.weld counts |
	grep -o '"nr":[0-9]*\|"value":[0-9]*}' | tr -d '\n' |
	sed 's/"nr":/\n/g; s/"value":/ /g' | tr -d '}' | sed 1d | sort -n > $t/counts
diff $t/counts - <<'X' || die "counted otherwise"
0 1
39 2
102 1
104 2
107 2
231 1
X
