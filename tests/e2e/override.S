/* SPDX-License-Identifier: MIT */
	.intel_syntax noprefix
	.text
/* A body of a good length, that spoils what it may. */
	.globl	target
	.type	target, @function
	.balign	16
target:	.cfi_startproc
	endbr64
	push	rbx
	.cfi_adjust_cfa_offset 8
	inc	qword ptr ran[rip]
	lea	rbx, [rdi + 1]
	mov	rax, rbx
	pop	rbx
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	target, . - target

/* Never returns by itself, so the caller's registers are nothing to it. */
	.globl	never
	.type	never, @function
	.balign	16
never:	.cfi_startproc
	.irp	r, rbx, rbp, r12, r13, r14, r15, rsi, rdx, rcx, r8, r9, r10, r11
	mov	\r, 1
	.endr
	ud2
	.cfi_endproc
	.size	never, . - never

/* Entries without room: a ret alone, the head of a loop, a call. */
	.globl	tiny, loop, calls
	.type	tiny, @function
	.type	loop, @function
	.type	calls, @function
	.balign	16
tiny:	.cfi_startproc
	ret
	.cfi_endproc
	.size	tiny, . - tiny
	.balign	16
loop:	.cfi_startproc
	dec	rdi
	jnz	loop
	mov	eax, 5
	ret
	.cfi_endproc
	.size	loop, . - loop
	.balign	16
calls:	.cfi_startproc
	push	rbx
	.cfi_adjust_cfa_offset 8
	call	loop
	pop	rbx
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	calls, . - calls

/* See override.c. */
	.globl	call_target
	.type	call_target, @function
	.balign	16
call_target: .cfi_startproc
	.irp	r, rbx, rbp, r12, r13, r14, r15, rsi
	push	\r
	.cfi_adjust_cfa_offset 8
	.endr
	mov	rax, rdx
	mov	rbx, 0x1111
	mov	rbp, 0x2222
	mov	r12, 0x3333
	mov	r13, 0x4444
	mov	r14, 0x5555
	mov	r15, rsp
	mov	rsi, 0x6666
	mov	rdx, 0x7777
	mov	rcx, 0x8888
	mov	r8, 0x9999
	mov	r9, 0xaaaa
	mov	r10, 0xbbbb
	mov	r11, 0xcccc
	push	rdi
	.cfi_adjust_cfa_offset 8
	call	rax
	pop	rdi
	.cfi_adjust_cfa_offset -8
	cmp	r15, rsp
	mov	rsp, r15
	mov	rdi, 0
	je	1f
	or	rdi, 2
1:	cmp	rbx, 0x1111
	jne	2f
	cmp	rbp, 0x2222
	jne	2f
	cmp	r12, 0x3333
	jne	2f
	cmp	r13, 0x4444
	jne	2f
	cmp	r14, 0x5555
	je	3f
2:	or	rdi, 1
3:	cmp	rsi, 0x6666
	jne	4f
	cmp	rdx, 0x7777
	jne	4f
	cmp	rcx, 0x8888
	jne	4f
	cmp	r8, 0x9999
	jne	4f
	cmp	r9, 0xaaaa
	jne	4f
	cmp	r10, 0xbbbb
	jne	4f
	cmp	r11, 0xcccc
	je	5f
4:	or	rdi, 4
5:	.irp	r, rsi, r15, r14, r13, r12, rbp, rbx
	pop	\r
	.cfi_adjust_cfa_offset -8
	.endr
	mov	[rsi], rax
	mov	rax, rdi
	ret
	.cfi_endproc
	.size	call_target, . - call_target
	.section .note.GNU-stack, "", @progbits
