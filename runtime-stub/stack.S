/* SPDX-License-Identifier: MIT */
/* stack.S - stacks for programs to run on where the target has none to spare.
 *
 * A goroutine's stack may end right below rsp: not a byte there is ours, not
 * even for a call.  weld_stacks is PROBE_STACKS pieces of PROBE_STACK_SIZE
 * bytes (and one more), each with a struct probe_stack (abi.h) at its end:
 *
 *     weld_stacks  | ... <- rsp while in use | taken, rsp | ... | taken, rsp |
 *
 * Whoever sets `taken` from 0 to 1 has the stack until it writes 0; any number
 * of threads may be at it, and signal handlers in the middle of it: they get
 * other stacks.  The search begins at the CPU's own, so that nearly always one
 * locked instruction is enough and a stack's lines stay in that CPU's cache.
 * Where all are taken, there is none: nobody waits.
 *
 * Called by a jump, as there is no stack:
 *     r13  where to go on, with r12 the struct probe_stack; the flags are lost.
 *          If there is none, five bytes before that, where a jump stands.
 *
 * weld_arm_go is for trampolines without a frame: it arms the region (weld_arm)
 * on one stack more, which only one thread can have; the hits of others that
 * come meanwhile are not seen.  An executable is armed at its entry, before all
 * of that.  Called in the same way; loses the flags and nothing else.
 *
 * A child of fork() has none taken: its only thread was in no program.  The
 * kernel sees to it (MADV_WIPEONFORK), and is asked by who comes first.
 */
#include "runtime-stub/abi_asm.h"

#define PROBE_STACK(n) \
	weld_stacks + (n) * PROBE_STACK_SIZE + PROBE_STACK_SIZE - 16
/* Its segment's limit is the CPU's number (arch/x86/include/asm/segment.h). */
#define SELECTOR_CPU 0x7b
#define SYS_MADVISE 28
#define MADV_WIPEONFORK 18

	.section .text.weld_stack_claim, "ax", @progbits
	.globl	weld_stack_claim
	.hidden	weld_stack_claim
	.type	weld_stack_claim, @function
	.balign	16
weld_stack_claim:
	.cfi_startproc
	mov	$SELECTOR_CPU, %r12d
	lsl	%r12d, %r12d
	and	$(PROBE_STACKS - 1), %r12d
	shl	$PROBE_STACK_SHIFT, %r12
	cmpq	$0, first(%rip)
	je	2f
	add	first(%rip), %r12
	lock btsl $0, (%r12)
	jc	1f
	jmp	*%r13

1:	.set	i, 0
	.rept	PROBE_STACKS
	lock btsl $0, PROBE_STACK(i)(%rip)
	jnc	3f + i * (4f - 3f)
	.set	i, i + 1
	.endr
	lea	-5(%r13), %r13
	jmp	*%r13

	/* All of the same length. */
	.set	i, 0
3:	lea	PROBE_STACK(0)(%rip), %r12
	jmp	*%r13
4:
	.set	i, 1
	.rept	PROBE_STACKS - 1
	lea	PROBE_STACK(i)(%rip), %r12
	jmp	*%r13
	.set	i, i + 1
	.endr

	/* Before the first one: there is no harm in doing this twice. */
2:	lea	PROBE_STACK(0)(%rip), %r12
	lock btsl $0, (%r12)
	jc	1b
	mov	%rsp, 8(%r12)
	mov	%r12, %rsp
	.irp	r, rax, rcx, rdx, rsi, rdi, r11
	push	%\r
	.endr
	lea	weld_stacks(%rip), %rdi
	mov	$((PROBE_STACKS + 1) * PROBE_STACK_SIZE), %esi
	mov	$MADV_WIPEONFORK, %edx
	mov	$SYS_MADVISE, %eax
	syscall
	.irp	r, r11, rdi, rsi, rdx, rcx, rax
	pop	%\r
	.endr
	mov	8(%r12), %rsp
	mov	%r12, first(%rip)
	jmp	*%r13
	.cfi_endproc
	.size	weld_stack_claim, . - weld_stack_claim

	.section .text.weld_arm_go, "ax", @progbits
	.globl	weld_arm_go
	.hidden	weld_arm_go
	.type	weld_arm_go, @function
	.balign	16
weld_arm_go:
	.cfi_startproc
	cmpl	$0, weld_settled(%rip)
	jne	1f
	lock btsl $0, PROBE_STACK(PROBE_STACKS)(%rip)
	jc	1f
	mov	%rsp, PROBE_STACK(PROBE_STACKS) + 8(%rip)
	lea	PROBE_STACK(PROBE_STACKS)(%rip), %rsp
	call	weld_arm
	mov	PROBE_STACK(PROBE_STACKS) + 8(%rip), %rsp
	movl	$0, PROBE_STACK(PROBE_STACKS)(%rip)
1:	jmp	*%r13
	.cfi_endproc
	.size	weld_arm_go, . - weld_arm_go

	.section .bss.first, "aw", @nobits
	.balign	8
first:	.skip	8

	.section .note.GNU-stack, "", @progbits
