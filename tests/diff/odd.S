/* SPDX-License-Identifier: MIT */
/* Functions that begin with instructions which are not moved, or not probed,
 * as easily as others.  long odd_NAME(long x); the ones that the kernel cannot
 * probe are called never_NAME. */
	.macro	function name
	.balign	16
	.globl	\name
	.type	\name, @function
\name:
	.endm
	.macro	end name
	.size	\name, . - \name
	.endm

	.bss
	.balign	8
number:	.quad	0
	.section .data.rel, "aw"
	.balign	8
to_triple: .quad triple
	.text

triple:	lea	(%rdi,%rdi,2), %rax
	ret

function odd_rip_load
	mov	number(%rip), %rax
	add	%rdi, %rax
	ret
end odd_rip_load
function odd_rip_add
	addq	$3, number(%rip)
	mov	%rdi, %rax
	ret
end odd_rip_add
function odd_jmp
	jmp	triple
end odd_jmp
function odd_jmp_indirect
	jmp	*to_triple(%rip)
end odd_jmp_indirect
function odd_call
	call	triple
	inc	%rax
	ret
end odd_call
function odd_call_indirect
	call	*to_triple(%rip)
	inc	%rax
	ret
end odd_call_indirect
function odd_push
	push	%rdi
	push	%rbx
	mov	%rsp, %rbx
	mov	8(%rbx), %rax
	pop	%rbx
	pop	%rdi
	ret
end odd_push
function odd_pop /* its own return address */
	pop	%rcx
	lea	7(%rdi), %rax
	jmp	*%rcx
end odd_pop
function odd_stack_pointer
	lea	-8(%rsp), %rax
	sub	%rsp, %rax
	add	%rdi, %rax
	ret
end odd_stack_pointer
function odd_loop /* to its own entry: a hit each time round */
	lea	-1(%rdi), %rdi
	add	$5, %rax
	test	%rdi, %rdi
	jg	odd_loop
	mov	%rdi, %rax
	ret
end odd_loop
function odd_jrcxz
	jrcxz	1f
	nop
	nop
	nop
1:	lea	9(%rdi), %rax
	ret
end odd_jrcxz
function odd_jcc /* on flags that the caller has left */
	jc	2f
	lea	1(%rdi), %rax
	ret
2:	lea	2(%rdi), %rax
	ret
end odd_jcc
function odd_flags /* set before the site, read behind it: +5 is probed, too */
	cmp	$4, %rdi
	nop
	lea	(%rdi,%rdi), %rax
	adc	$0, %rax
	ret
end odd_flags
function odd_narrow
	xchg	%ax, %ax
	movw	$0x1234, %ax
	movzwl	%ax, %eax
	ret
end odd_narrow
function odd_nop5
	.byte	0x0f, 0x1f, 0x44, 0x00, 0x00
	lea	11(%rdi), %rax
	ret
end odd_nop5
function odd_fs
	mov	%fs:0, %rax
	sub	%fs:0, %rax
	ret
end odd_fs
function odd_popcnt
	popcnt	%rdi, %rax
	ret
end odd_popcnt
function odd_xmm
	movq	%rdi, %xmm0
	movq	%xmm0, %rax
	ret
end odd_xmm
function odd_endbr
	endbr64
	shl	$2, %rdi
	mov	%rdi, %rax
	ret
end odd_endbr

function never_lock
	lock incq number(%rip)
	mov	%rdi, %rax
	ret
end never_lock
function never_cs
	cs nopw	0(%rax,%rax)
	mov	%rdi, %rax
	ret
end never_cs
function never_pushf
	pushfq
	pop	%rcx
	mov	%rdi, %rax
	ret
end never_pushf
function never_vex
	vpxor	%xmm0, %xmm0, %xmm0
	vmovq	%xmm0, %rax
	ret
end never_vex
function never_vex_jump /* vpshufd has the opcode byte of jo */
	vpshufd	$0, %xmm0, %xmm0
	mov	%rdi, %rax
	ret
end never_vex_jump
function odd_vex
	vmovaps	%xmm0, %xmm1
	mov	%rdi, %rax
	ret
end odd_vex

	.section .note.GNU-stack,"",@progbits
