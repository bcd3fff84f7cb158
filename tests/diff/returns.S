/* SPDX-License-Identifier: MIT */
/* returns.S - ways out of a function that compilers do not take, or not when
 * one wants them to.  Takes and gives a long where it can;
 * and switches of stacks.
 */
	.macro	function name
	.balign	16
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	.endm
	.macro	end name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.section .data.rel.ro, "aw"
	.balign	8
to_leaf: .quad	out_leaf
to_second: .quad out_second
	.section .rodata
	.balign	4
table:	.long	out_leaf - table, out_second - table
	.text

function out_leaf
	lea	1(%rdi), %rax
	ret
end out_leaf
function out_second
	lea	2(%rdi), %rax
	ret
end out_second

/* --- jumps through a register: what compilers put in place of them -------- */

	.macro	thunk name, reg /* gcc's, and padded, LLVM's */
function \name
	call	1f
2:	pause
	lfence
	jmp	2b
	.balign	16
1:	.cfi_adjust_cfa_offset 8
	mov	%\reg, (%rsp)
	ret
end \name
	.endm
	thunk	by_rax, rax
	thunk	by_rsi, rsi
	thunk	by_r11, r11
function by_rcx /* where the processor is not in danger */
	endbr64
	lfence
	notrack jmp *%rcx
end by_rcx

/* --- rets ---------------------------------------------------------------- */

function rets_rep
	mov	%rdi, %rax
	repz ret
end rets_rep
function rets_bnd
	mov	%rdi, %rax
	.byte	0xf2 /* bnd */
	ret
end rets_bnd
function rets_imm /* takes its 16 bytes of arguments away */
	mov	8(%rsp), %rax
	add	16(%rsp), %rax
	ret	$16
end rets_imm
function rets_lone
	ret
end rets_lone
function rets_two
	mov	%rdi, %rax
	test	%rdi, %rdi
	jns	1f
	ret
1:	inc	%rax
	ret
end rets_two
function rets_target /* the ret is a jump's target, and one byte */
	mov	%rdi, %rax
	test	%rdi, %rdi
	js	1f
	add	$5, %rax
	cmp	$7, %rax
	jg	1f
	xor	%eax, %eax
1:	ret
end rets_target
function popped_jump /* no ret at all */
	lea	7(%rdi), %rax
	pop	%rcx
	jmp	*%rcx
end popped_jump
function pushed_ret /* a ret that is a jump */
	lea	out_leaf(%rip), %rcx
	push	%rcx
	.cfi_adjust_cfa_offset 8
	ret
end pushed_ret
function carry_flag /* tells by the carry flag */
	mov	%rdi, %rax
	cmp	$3, %rdi
	ret
end carry_flag

/* --- tail jumps ---------------------------------------------------------- */

function out_direct
	inc	%rdi
	jmp	out_leaf
end out_direct
function out_chain
	inc	%rdi
	jmp	out_direct
end out_chain
function out_jcc
	mov	%rdi, %rax
	test	%rdi, %rdi
	js	out_leaf
	jz	out_second
	ret
end out_jcc
function out_register
	lea	out_second(%rip), %r11
	jmp	*%r11
end out_register
function out_memory
	jmp	*to_leaf(%rip)
end out_memory
function out_stack /* the pointer is where the red zone is */
	mov	to_second(%rip), %rax
	mov	%rax, -16(%rsp)
	jmp	*-16(%rsp)
end out_stack
function out_notrack
	mov	to_second(%rip), %rdx
	notrack jmp *%rdx
end out_notrack
function out_table
	lea	table(%rip), %rdx
	mov	%edi, %ecx
	and	$1, %ecx
	movslq	(%rdx,%rcx,4), %rcx
	add	%rdx, %rcx
	jmp	*%rcx
end out_table
function out_frame /* with a frame of its own, taken down before */
	push	%rbx
	.cfi_adjust_cfa_offset 8
	mov	%rdi, %rbx
	call	out_leaf
	lea	(%rax,%rbx), %rdi
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	jmp	out_second
end out_frame
/* --- jumps to thunks ----------------------------------------------------- */

/* (Labels that only a pointer names might be data: some branch leads there,
 * too.) */
function thunk_goto /* to a label of its own, always or sometimes */
	lea	1f(%rip), %rsi
	xor	%eax, %eax
	test	%rdi, %rdi
	js	1f
	jmp	by_rsi
1:	inc	%rax
	cmp	%rdi, %rax
	jne	by_rsi
	ret
end thunk_goto
function thunk_frame /* the same, with a frame */
	push	%rbx
	.cfi_adjust_cfa_offset 8
	lea	1f(%rip), %r11
	mov	%rdi, %rax
	mov	%rdi, %rbx
	test	%rdi, %rdi
	jz	1f
	jmp	by_r11
1:	lea	2f(%rip), %rcx
	dec	%rbx
	js	2f
	jnz	by_r11
	jmp	by_rcx
2:	pop	%rbx
	.cfi_adjust_cfa_offset -8
	ret
end thunk_frame
function thunk_tail
	lea	out_leaf(%rip), %rax
	jmp	by_rax
end thunk_tail
function thunk_either /* a label of its own, or another function */
	lea	out_second(%rip), %rcx
	lea	1f(%rip), %rax
	test	%rdi, %rdi
	cmovns	%rax, %rcx
	jz	1f
	jmp	by_rcx
1:	lea	out_leaf(%rip), %r11
	mov	%rdi, %rax
	test	%rdi, %rdi
	jnz	by_r11
	ret
end thunk_either
function thunk_call
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	lea	out_leaf(%rip), %rax
	call	by_rax
	add	$8, %rsp
	.cfi_adjust_cfa_offset -8
	ret
end thunk_call
function loop_entry /* itself, by a jump to its entry */
	sub	$1, %rdi
	jg	loop_entry
	mov	%rdi, %rax
	ret
end loop_entry
function fall_into /* nothing at its end: goes on in the next one */
	add	$100, %rdi
end fall_into
	.globl	fall_behind
	.type	fall_behind, @function
fall_behind: /* no padding in front */
	.cfi_startproc
	lea	3(%rdi), %rax
	ret
end fall_behind

/* --- parts that functions have in common --------------------------------- */

function common_shared_a
	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	lea	10(%rdi), %rbx
	jmp	common_shared_tail
end common_shared_a
function common_shared_b
	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	lea	20(%rdi), %rbx
common_shared_tail:
	mov	%rbx, %rax
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	ret
end common_shared_b
function middle_a /* runs the end of common_shared_b, too, without a frame */
	lea	30(%rdi), %rax
	jmp	middle_in
end middle_a
function middle_b
	lea	40(%rdi), %rax
middle_in:
	add	$1, %rax
	ret
end middle_b
function part_f /* with a part elsewhere, which returns itself */
	lea	50(%rdi), %rax
	test	%rdi, %rdi
	js	part_f.cold
	ret
end part_f
	.section .text.unlikely, "ax"
	.type	part_f.cold, @function
part_f.cold:
	.cfi_startproc
	neg	%rax
	ret
	.cfi_endproc
	.size	part_f.cold, . - part_f.cold
	.text

/* --- switches of stacks -------------------------------------------------- */

/* void switch_to(void **from, void *to) */
function switch_to
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, (%rdi)
	mov	%rsi, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
end switch_to
/* A setjmp that does not scramble: env is rsp behind its return, rip, rbp; no
 * other register lives on in the one caller that has it. */
function twice_set
	mov	(%rsp), %rax
	mov	%rax, 8(%rdi)
	lea	8(%rsp), %rax
	mov	%rax, (%rdi)
	mov	%rbp, 16(%rdi)
	mov	%rbx, 24(%rdi)
	mov	%r12, 32(%rdi)
	mov	%r13, 40(%rdi)
	mov	%r14, 48(%rdi)
	mov	%r15, 56(%rdi)
	xor	%eax, %eax
	ret
end twice_set
function twice_jump
	mov	%rsi, %rax
	mov	56(%rdi), %r15
	mov	48(%rdi), %r14
	mov	40(%rdi), %r13
	mov	32(%rdi), %r12
	mov	24(%rdi), %rbx
	mov	16(%rdi), %rbp
	mov	(%rdi), %rsp
	jmp	*8(%rdi)
end twice_jump

/* --- all of them, with what they give -------------------------------------- */

	.section .rodata
format:	.string	"asm %ld %ld\n"
	.text

	.macro	try name, values:vararg
	.irp	value, \values
	mov	$\value, %rdi
	mov	$0x1234, %eax
	mov	$0x5678, %edx
	call	\name
	call	print
	.endr
	.endm

print: /* rax, and which one it was */
	push	%rbx
	inc	%r12
	mov	%rax, %rdx
	mov	%r12, %rsi
	lea	format(%rip), %rdi
	xor	%eax, %eax
	call	printf@PLT
	pop	%rbx
	ret

	.macro	begin case
function run_\case
	push	%r12
	push	%rbx
	sub	$8, %rsp
	xor	%r12d, %r12d
	.endm
	.macro	done case
	add	$8, %rsp
	pop	%rbx
	pop	%r12
	ret
end run_\case
	.endm

begin rets
	try	rets_rep, 5
	try	rets_bnd, 6
	push	$100
	push	$23
	call	rets_imm
	call	print
	try	rets_lone, 1
	try	rets_two, 1, -1
	try	rets_target, -4, 1, 9
done rets
begin popped
	try	popped_jump, 4
done popped
begin pushed
	try	pushed_ret, 4
done pushed
begin carry
	.irp	value, 2, 4
	mov	$\value, %rdi
	call	carry_flag
	sbb	%rax, %rax
	call	print
	.endr
done carry
begin out
	try	out_direct, 3
	try	out_chain, 3
	try	out_jcc, -5, 0, 5
	try	out_register, 1
	try	out_memory, 1
	try	out_stack, 1
	try	out_notrack, 1
	try	out_table, 4, 5
	try	out_frame, 8
done out
begin thunk
	try	thunk_goto, 1, 9
	try	thunk_frame, 4
	try	thunk_tail, 3
	try	thunk_either, -5, 0, 5
	try	thunk_call, 3
done thunk
begin loop
	try	loop_entry, 1, 3
done loop
begin fall
	try	fall_into, 1
	try	fall_behind, 1
done fall
begin common
	try	common_shared_a, 1
	try	common_shared_b, 1
done common
begin middle
	try	middle_a, 1
	try	middle_b, 1
done middle
begin part
	try	part_f, 1, -1
done part

	.section .note.GNU-stack,"",@progbits
