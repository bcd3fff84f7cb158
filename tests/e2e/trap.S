/* SPDX-License-Identifier: MIT */
/* Functions in which nothing but a trap has room.  `noise(n)` calls all of
 * them n times. */
	.macro	F name
	.globl	\name
	.type	\name, @function
\name:	.cfi_startproc
	.endm
	.macro	E name
	.cfi_endproc
	.size	\name, . - \name
	.endm
	.text
F lone				/* one byte, the next one behind it */
	ret
E lone
F lone_too
	ret
E lone_too
F named				/* data names its second instruction */
	lea	1(%rdi), %eax
.Lnamed: inc	%eax
	ret
E named
F calls				/* a call that data names */
	push	%rbx
	.cfi_adjust_cfa_offset 8
.Lcalls: call	*%rdi
	dec	%eax
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	ret
E calls
F loops				/* its head is its second instruction */
	xor	%eax, %eax
.Lhead:	inc	%eax
.Lloops: dec	%edi
	jnz	.Lhead
	ret
E loops
F leaves			/* by a jump */
	nop
.Lleaves: jmp	*%rdi
E leaves
F own				/* the target's own; returns behind it */
	int3
own_behind:
	ret
E own
	.globl	own_behind
	.type	unsure, @function /* does anybody know that it is code? */
	.globl	unsure
unsure:	nop
.Lunsure: ret
	.size	unsure, . - unsure
F unsure_next
	ret
E unsure_next

F five
	mov	$5, %eax
	ret
E five
F noise
	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_offset rbx, -16
	mov	%edi, %ebx
0:	call	lone
	call	lone_too
	mov	$1, %edi
	call	named
	lea	five(%rip), %rdi
	call	calls
	mov	$3, %edi
	call	loops
	lea	five(%rip), %rdi
	call	leaves
	dec	%ebx
	jnz	0b
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	ret
E noise

	.data
	.quad	.Lnamed, .Lcalls, .Lloops, .Lhead, .Lleaves, .Lunsure
	.section .note.GNU-stack, "", @progbits
