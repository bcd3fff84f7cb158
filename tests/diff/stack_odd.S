/* SPDX-License-Identifier: MIT */
/* long odd_chain(unsigned long rbp): odd_leaf() is called with this rbp, and
 * pushes it, or does not. */
	.text
	.globl odd_chain
	.type odd_chain, @function
odd_chain:
	push	%rbp
	push	%rbx
	mov	%rdi, %rbp
	call	odd_leaf
	mov	%rax, %rbx
	call	odd_endbr
	add	%rbx, %rax
	pop	%rbx
	pop	%rbp
	ret
	.size odd_chain, . - odd_chain

	.type odd_leaf, @function
	.globl odd_leaf
odd_leaf:
	lea	8(%rdi), %rax
	nopl	0(%rax,%rax)
	push	%rbp		/* odd_leaf+9 */
	mov	%rax, %rdx
	nopw	0(%rax,%rax)
	pop	%rbp
	mov	%edx, %eax
	nopl	0(%rax,%rax)
	ret
	.size odd_leaf, . - odd_leaf

	.type odd_endbr, @function
	.globl odd_endbr
odd_endbr:
	endbr64
	push	%rbp
	mov	%rsp, %rbp
	mov	%edi, %eax
	pop	%rbp
	ret
	.size odd_endbr, . - odd_endbr
	.section .note.GNU-stack, "", @progbits
