/* SPDX-License-Identifier: MIT */
/* fault.S - the only instructions that touch memory which may not be there.
 *
 *     uint32_t fault_copy(void *to, const void *from, uint64_t n)
 *                          0; or 1: there was a fault, and some of the bytes
 *                          may have been copied
 *     long fault_read(void *to, const void *from, uint64_t n)
 *                          0; or -EFAULT, and all of `to` is zero
 *
 * They are leaves without a frame, so wherever one faults its return address is
 * at rsp, and rdi and rdx are what they were: the handler in fault.c sets rip
 * to the label behind it and has done all that there is to do.  Two ranges of
 * addresses, no table.  (What is called most is fault_read: its caller has
 * nothing to keep and jumps there.)
 *
 * Every byte that is read is one of the n.  Whole words first, so that an
 * aligned word of a map's value is never seen half written; what is left over
 * by one word more, which overlaps.
 */
	.macro	COPY name
	.section .text.\name, "ax", @progbits
	.globl	\name, \name\()_caught
	.hidden	\name, \name\()_caught
	.type	\name, @function
	.balign	64
\name:
	.cfi_startproc
	cmp	$8, %rdx
	jb	3f
	mov	-8(%rsi,%rdx), %r8
	mov	%rdx, %r9
	sub	$8, %r9
	je	2f
	xor	%eax, %eax
1:	mov	(%rsi,%rax), %rcx
	mov	%rcx, (%rdi,%rax)
	add	$8, %rax
	cmp	%r9, %rax
	jb	1b
2:	mov	%r8, (%rdi,%r9)
	xor	%eax, %eax
	ret
3:	cmp	$4, %edx
	jb	4f
	mov	(%rsi), %ecx
	mov	-4(%rsi,%rdx), %eax
	mov	%ecx, (%rdi)
	mov	%eax, -4(%rdi,%rdx)
	xor	%eax, %eax
	ret
	/* The first, the middle and the last of three, or fewer. */
4:	test	%edx, %edx
	je	5f
	mov	%edx, %r9d
	shr	%r9d
	movzbl	(%rsi), %ecx
	movzbl	(%rsi,%r9), %r8d
	movzbl	-1(%rsi,%rdx), %eax
	mov	%cl, (%rdi)
	mov	%r8b, (%rdi,%r9)
	mov	%al, -1(%rdi,%rdx)
5:	xor	%eax, %eax
	ret
\name\()_caught:
	.endm

	.macro	FINISH name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	COPY	fault_copy
	mov	$1, %eax
	ret
	FINISH	fault_copy

	COPY	fault_read
	mov	%edx, %esi
	jmp	fault_failed
	FINISH	fault_read

/* Where the kernel returns to from our handler.  Unwinders and debuggers know
 * a signal frame by just these instructions, if no description covers them or
 * the byte in front of them. */
	.section .text.fault_restorer, "ax", @progbits
	.globl	fault_restorer
	.hidden	fault_restorer
	.type	fault_restorer, @function
	.balign	16
	nop
fault_restorer:
	mov	$15, %rax		/* rt_sigreturn */
	syscall
	.size	fault_restorer, . - fault_restorer

	.section .note.GNU-stack, "", @progbits
