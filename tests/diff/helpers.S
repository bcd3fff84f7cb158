/* SPDX-License-Identifier: MIT */
/* Probed functions whose every byte is known, and a caller that puts a value
 * of its own into every register and sets every flag that a program can. */
	.text

/* long site(const struct inputs *) */
	.globl	site
	.type	site, @function
site:
	endbr64
	lea	0x100(%rdi), %rax
	ret
	.size	site, . - site

/* Probed at its endbr64 and at the second lea, +0xb. */
	.globl	known
	.type	known, @function
known:
	endbr64
	lea	0x100(%rax), %rcx
	lea	0x100(%rbx), %rdx
	ret
	.size	known, . - known

	.globl	call_known
	.type	call_known, @function
call_known:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushfq
	pushq	$0x200cd7       /* ID OF DF SF ZF AF PF CF */
	popfq
	movabs	$0xa0a1a2a3a4a5a6a7, %rax
	movabs	$0xb0b1b2b3b4b5b6b7, %rbx
	movabs	$0xc0c1c2c3c4c5c6c7, %rcx
	movabs	$0xd0d1d2d3d4d5d6d7, %rdx
	movabs	$0x1011121314151617, %rsi
	movabs	$0x2021222324252627, %rdi
	movabs	$0x3031323334353637, %rbp
	movabs	$0x8081828384858687, %r8
	movabs	$0x9091929394959697, %r9
	movabs	$0x0a1a2a3a4a5a6a7a, %r10
	movabs	$0x0b1b2b3b4b5b6b7b, %r11
	movabs	$0x0c1c2c3c4c5c6c7c, %r12
	movabs	$0x0d1d2d3d4d5d6d7d, %r13
	movabs	$0x0e1e2e3e4e5e6e7e, %r14
	movabs	$0x0f1f2f3f4f5f6f7f, %r15
	call	known
	popfq
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size	call_known, . - call_known

/* A leaf that keeps something in its red zone and flags across the site, +0xf.
 * long leaf(long a, long b): a + b + carry of a + b */
	.globl	leaf
	.type	leaf, @function
leaf:
	mov	%rdi, -8(%rsp)
	mov	%rsi, -128(%rsp)
	add	%rsi, %rdi
	lea	(%rax), %rdx
	mov	-128(%rsp), %rax
	adc	-8(%rsp), %rax
	ret
	.size	leaf, . - leaf

	.section .note.GNU-stack,"",@progbits
