/* SPDX-License-Identifier: MIT */
/* displace.S - functions for displace.c to patch: one for each kind of
 * displaced instruction, its site marked.  What a fixture shows of the flags it
 * returns in a register; at its end they are dead.
 */
	.macro BEGIN name
	.balign 16
fx_\name:
	.endm
	.macro SITE name
fs_\name:
	.endm
	.macro END name, hits=1
fe_\name:
	.pushsection .rodata.fixture_names, "a"
fn_\name:
	.asciz "\name"
	.popsection
	.pushsection .data.rel.ro.fixtures, "aw"
	.quad fx_\name, fs_\name, fe_\name, fn_\name, \hits
	.popsection
	.endm

	.pushsection .data.rel.ro.fixtures, "aw"
	.globl fixtures
fixtures:
	.popsection
	.pushsection .data, "aw"
	.balign 16
var:	.quad 0x1122334455667788, 0x99aabbccddeeff00
callee_ptr:
	.quad callee
	.popsection

	.section .fixture, "ax", @progbits
	.balign 4096
	.globl fixture_text
fixture_text:
	.balign 16
callee:				/* returns what it can see */
	mov (%rsp), %rax
	lea (%rsp), %rdx
	ret
callee_arg:
	mov 8(%rsp), %rax
	add (%rsp), %rax
	ret

BEGIN rip_load
SITE rip_load
	mov var(%rip), %rax
	add %rdi, %rax
	ret
END rip_load
BEGIN rip_lea
SITE rip_lea
	push %rbx
	lea var(%rip), %rbx
	mov 8(%rbx), %rax
	pop %rbx
	ret
END rip_lea
BEGIN rip_imm
SITE rip_imm
	cmpl $0x55667788, var(%rip)
	pushfq
	pop %rax
	ret
END rip_imm
BEGIN rip_imm8
SITE rip_imm8
	addb $1, var(%rip)
	subb $1, var(%rip)
	pushfq
	pop %rax
	ret
END rip_imm8
BEGIN rip_locked
SITE rip_locked
	lock xadd %rdi, var+8(%rip)
	mov var+8(%rip), %rax
	mov %rdi, var+8(%rip)
	ret
END rip_locked
BEGIN rip_sse
SITE rip_sse
	movdqu var(%rip), %xmm0
	movq %xmm0, %rax
	ret
END rip_sse
BEGIN fs_load
SITE fs_load
	mov %fs:0x28, %rax
	ret
END fs_load
BEGIN jcc_short
SITE jcc_short
	test $1, %dil
	jne 1f
	mov $1, %eax
	ret
1:	mov $2, %eax
	ret
END jcc_short
BEGIN jcc_short_window
SITE jcc_short_window
	test %dil, %dil
	js 1f
	mov $1, %eax
	ret
1:	mov $2, %eax
	ret
END jcc_short_window
BEGIN jcc_long
	test $2, %sil
SITE jcc_long
	.byte 0x0f, 0x85
	.long 1f - . - 4
	mov $1, %eax
	ret
1:	mov $2, %eax
	ret
END jcc_long
BEGIN jcc_every_flag
SITE jcc_every_flag
	jo 1f
	js 1f
	jp 1f
	xor %eax, %eax
	pushfq
	pop %rax
	ret
1:	pushfq
	pop %rax
	ret
END jcc_every_flag
BEGIN jcc_carry
SITE jcc_carry
	jbe 1f
	jl 1f
	ja 2f
1:	mov $1, %eax
	ret
2:	mov $2, %eax
	ret
END jcc_carry
BEGIN trap_inside
SITE trap_inside
	mov %edi, %eax
	int3
	inc %eax
	ret
END trap_inside
BEGIN trap_last
	mov %edi, %eax
SITE trap_last
	inc %eax
	inc %eax
	int3
	inc %eax
	ret
END trap_last
BEGIN ud2_skipped
	mov %edi, %eax
SITE ud2_skipped
	inc %eax
	inc %eax
	ud2
	inc %eax
	ret
END ud2_skipped
BEGIN jmp_long
SITE jmp_long
	.byte 0xe9
	.long 1f - . - 4
	ud2
1:	mov $2, %eax
	ret
END jmp_long
BEGIN jmp_short
SITE jmp_short
	mov %edi, %eax
	inc %eax
	jmp 1f
	ud2
1:	ret
END jmp_short
BEGIN jmp_table
	lea 1f(%rip), %rax
SITE jmp_table
	mov %rdi, %rcx
	jmp *%rax
	.balign 16
1:	endbr64
	ret
END jmp_table
BEGIN call_direct
	push %rbx
SITE call_direct
	call callee
	mov (%rsp), %rcx
	pop %rbx
	ret
END call_direct
BEGIN call_behind
SITE call_behind
	mov %rdi, %rcx
	call callee
	ret
END call_behind
BEGIN call_stack_read
	push %rdi
SITE call_stack_read
	mov (%rsp), %rcx
	call callee
	pop %rdi
	ret
END call_stack_read
BEGIN call_sub			/* at the entry, [rsp-8] is not in use */
SITE call_sub
	sub $24, %rsp
	call callee
	mov %rdi, 16(%rsp)
	add $24, %rsp
	ret
END call_sub
BEGIN call_sub_later		/* as old gcc saved registers: below rsp */
	mov %rdi, -8(%rsp)
SITE call_sub_later
	sub $8, %rsp
	call callee
	pop %rcx
	ret
END call_sub_later
BEGIN call_push
SITE call_push
	push %rbx
	push %rdi
	call callee_arg
	pop %rdi
	pop %rbx
	ret
END call_push
BEGIN call_reg
	lea callee(%rip), %rax
SITE call_reg
	mov %rdi, %rcx
	call *%rax
	ret
END call_reg
BEGIN call_r12
	push %r12
	lea callee(%rip), %r12
SITE call_r12
	mov (%rsp), %rcx
	call *%r12
	pop %r12
	ret
END call_r12
BEGIN call_at_r12
	push %r12
	lea callee_ptr(%rip), %r12
SITE call_at_r12
	mov (%rsp), %rcx
	call *(%r12)
	pop %r12
	ret
END call_at_r12
BEGIN call_rip
SITE call_rip
	call *callee_ptr(%rip)
	ret
END call_rip
BEGIN call_rip_window
	push %rbp
SITE call_rip_window
	mov (%rsp), %rsi
	call *callee_ptr(%rip)
	pop %rbp
	ret
END call_rip_window
BEGIN call_stack_slot
	lea callee(%rip), %rax
	push %rax
SITE call_stack_slot
	mov %rsi, %rcx
	call *(%rsp)
	pop %rcx
	ret
END call_stack_slot
BEGIN call_stack_slot8
	lea callee(%rip), %rax
	push %rax
	sub $120, %rsp
SITE call_stack_slot8
	mov (%rsp), %rcx
	call *120(%rsp)
	add $128, %rsp
	ret
END call_stack_slot8
BEGIN call_stack_slot32
	lea callee(%rip), %rax
	push %rax
	sub $256, %rsp
	mov $2, %ecx
SITE call_stack_slot32
	call *240(%rsp,%rcx,8)
	add $264, %rsp
	ret
END call_stack_slot32
BEGIN call_next
SITE call_next
	call 1f
1:	pop %rax
	ret
END call_next
BEGIN loop_taken
	mov $3, %ecx
	xor %eax, %eax
1:	inc %eax
SITE loop_taken
	mov %rax, %rdx
	loop 1b
	ret
END loop_taken, 3
BEGIN loope
	mov $2, %ecx
SITE loope
	cmp %rdi, %rdi
	loope 1f
	mov $1, %eax
1:	pushfq
	pop %rdx
	ret
END loope
BEGIN jrcxz_taken
	xor %ecx, %ecx
SITE jrcxz_taken
	mov %rdi, %rdx
	jrcxz 1f
	mov $1, %eax
1:	ret
END jrcxz_taken
BEGIN jrcxz_not
	mov $1, %ecx
SITE jrcxz_not
	mov %rdi, %rdx
	jrcxz 1f
	mov $1, %eax
1:	ret
END jrcxz_not
BEGIN jecxz_taken
	mov $1, %rcx
	shl $32, %rcx
SITE jecxz_taken
	mov %edi, %edx
	jecxz 1f
	mov $1, %eax
1:	ret
END jecxz_taken
BEGIN self_loop
	mov $3, %eax
SITE self_loop
	dec %rax
	jne fs_self_loop
	ret
END self_loop, 3
BEGIN self_loop_one
	mov $2, %eax
SITE self_loop_one
	sub $1, %eax
	jne fs_self_loop_one
	ret
END self_loop_one, 2
BEGIN ret_padding
	mov %rdi, %rax
SITE ret_padding
	ret
END ret_padding
	.balign 16
BEGIN ret_window
SITE ret_window
	xor %eax, %eax
	inc %eax
	ret
END ret_window
	.balign 16
BEGIN ret_inside
	test $1, %dil
	jne 1f
	mov $7, %eax
SITE ret_inside
	ret
	.nops 9
1:	mov $9, %eax
	ret
END ret_inside
BEGIN ret_imm
	pop %rdx
	push %rdi
	push %rdx
SITE ret_imm
	mov %rdx, %rax
	ret $8
END ret_imm
BEGIN prologue
SITE prologue
	push %rbp
	mov %rsp, %rbp
	sub $32, %rsp
	mov %rdi, -8(%rbp)
	mov -8(%rbp), %rax
	leave
	ret
END prologue
BEGIN epilogue
	push %rbx
	push %rbp
	mov %rdi, %rbx
	lea (%rbx,%rsi), %rax
SITE epilogue
	mov %rsi, %rdx
	pop %rbp
	pop %rbx
	ret
END epilogue
BEGIN endbr
	endbr64
	push %rbp
	mov %rsp, %rbp
	mov %rsp, %rax
	pop %rbp
	ret
	.set fs_endbr, fx_endbr
END endbr
BEGIN nops
	mov %rdi, %rax
SITE nops
	nop
	nop
	nopl 0(%rax)
	nop
	ret
END nops
BEGIN nop5
SITE nop5
	.byte 0x0f, 0x1f, 0x44, 0, 0
	mov %rdi, %rax
	ret
END nop5
BEGIN red_zone
	mov %rdi, -8(%rsp)
	mov %rsi, -128(%rsp)
	mov %rdx, -64(%rsp)
SITE red_zone
	mov -8(%rsp), %rax
	add -128(%rsp), %rax
	add -64(%rsp), %rax
	ret
END red_zone
BEGIN flags_live
	cmp %rsi, %rdi
SITE flags_live
	lea 1(%rdi), %rax
	mov %rsi, %rcx
	pushfq
	pop %rdx
	ret
END flags_live
BEGIN flags_used
	add %rsi, %rdi
SITE flags_used
	adc $0, %rcx
	mov $0, %eax
	seto %al
	ret
END flags_used
BEGIN flags_all
SITE flags_all
	mov $0, %eax
	pushfq
	pop %rax
	ret
END flags_all
BEGIN syscall
	push %r11
	mov $39, %eax
SITE syscall
	syscall
	xor %ecx, %ecx
	inc %ecx
	pop %r11
	ret
END syscall

	.globl fixture_text_end
fixture_text_end:
	.balign 4096
	.pushsection .data.rel.ro.fixtures, "aw"
	.globl fixtures_end
fixtures_end:
	.popsection

/* run_fixture(fn, cpu, stack): all registers from *cpu, call, and back. */
	.text
	.globl run_fixture
run_fixture:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, old_sp(%rip)
	mov %rsi, cpu_at(%rip)
	mov %rdi, fn_at(%rip)
	mov %rdx, %rsp
	mov %rsi, %rax
	pushq 128(%rax)
	popfq
	mov 8(%rax), %rcx
	mov 16(%rax), %rdx
	mov 24(%rax), %rbx
	mov 40(%rax), %rbp
	mov 48(%rax), %rsi
	mov 56(%rax), %rdi
	mov 64(%rax), %r8
	mov 72(%rax), %r9
	mov 80(%rax), %r10
	mov 88(%rax), %r11
	mov 96(%rax), %r12
	mov 104(%rax), %r13
	mov 112(%rax), %r14
	mov 120(%rax), %r15
	mov (%rax), %rax
	call *fn_at(%rip)
	mov %rax, rax_at(%rip)
	mov cpu_at(%rip), %rax
	mov %rcx, 8(%rax)
	mov %rdx, 16(%rax)
	mov %rbx, 24(%rax)
	mov %rsp, 32(%rax)
	mov %rbp, 40(%rax)
	mov %rsi, 48(%rax)
	mov %rdi, 56(%rax)
	mov %r8, 64(%rax)
	mov %r9, 72(%rax)
	mov %r10, 80(%rax)
	mov %r11, 88(%rax)
	mov %r12, 96(%rax)
	mov %r13, 104(%rax)
	mov %r14, 112(%rax)
	mov %r15, 120(%rax)
	mov rax_at(%rip), %rcx
	mov %rcx, (%rax)
	mov old_sp(%rip), %rsp
	cld
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

/* Stands for weld_cold: opens the gates; writes the stack below a red zone of
 * which it was given one slot. */
	.macro FAKES suffix, over
	.globl fake_arm\suffix, fake_off\suffix
fake_arm\suffix:
	lea -120(%rsp), %rsp
	push %rax
	mov gates_at(%rip), %rax
	mov %rbx, -64(%rsp)
	movb $1, 0(%rax)
	movb $1, 1(%rax)
	movb $1, 2(%rax)
	movb $1, 3(%rax)
	pop %rax
	lea 120(%rsp), %rsp
	test %rsp, %rsp
	ret $\over
/* When the probes are switched off. */
fake_off\suffix:
	movq $-1, -128(%rsp)
	cmp %rsp, %rsp
	ret $\over
	.endm
	FAKES , 0
	FAKES _over, 128
/* Stands for a helper: ruins what a C function may, and the stack below. */
	.globl fake_helper
fake_helper:
	mov $-1, %rax
	mov %rax, %rcx
	mov %rax, %rdx
	mov %rax, %rsi
	mov %rax, %rdi
	mov %rax, %r8
	mov %rax, %r9
	mov %rax, %r10
	mov %rax, %r11
	push %rax
	push %rax
	push %rax
	add $24, %rsp
	ret

	.bss
	.balign 8
old_sp:	.quad 0
cpu_at:	.quad 0
fn_at:	.quad 0
rax_at:	.quad 0
	.globl gates_at
gates_at:
	.quad 0
	.section .note.GNU-stack, "", @progbits
