/* SPDX-License-Identifier: MIT */
/* entry.S - where the target's own flow enters the stub.
 *
 * None of the callers expects a call: a trampoline has everything of the
 * target in the registers, e_entry has what the kernel or ld.so left there.  So
 * all that C may change is kept: nine integer registers and the flags.  C runs
 * with clean flags; the target may have DF or AC set.
 */
	.macro	KEEP
	pushfq
	.cfi_adjust_cfa_offset 8
	.irp	r, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
	push	%\r
	.cfi_adjust_cfa_offset 8
	.endr
	pushq	$2
	.cfi_adjust_cfa_offset 8
	popfq
	.cfi_adjust_cfa_offset -8
	.endm

	.macro	BRING_BACK
	.irp	r, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
	pop	%\r
	.cfi_adjust_cfa_offset -8
	.endr
	popfq
	.cfi_adjust_cfa_offset -8
	.endm

	.macro	FUNCTION name
	.section .text.\name, "ax", @progbits
	.globl	\name
	.hidden	\name
	.type	\name, @function
	.balign	16
\name:
	.cfi_startproc
	.endm

	.macro	FINISH name
	.cfi_endproc
	.size	\name, . - \name
	.endm

/* A gate was 0.  If all is settled, the probe is disabled or BPFWELD_REGION is
 * off: back, quickly, and without touching the flags. */
	FUNCTION weld_arm
	push	%rcx
	.cfi_adjust_cfa_offset 8
	mov	weld_settled(%rip), %ecx
	jrcxz	1f
	pop	%rcx
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_adjust_cfa_offset 8
1:	pop	%rcx
	.cfi_adjust_cfa_offset -8
	KEEP
	call	start_hit
	BRING_BACK
	ret
	FINISH	weld_arm

/* From a cold path, which is
 *
 *	call	weld_cold
 *	jne	run           and in front of `run`,   cmpb $0, gate(%rip)
 *	jmp	next                                   je   (as long as the jne)
 *
 * So the jne's displacement, from the jne's start, leads behind the cmpb.
 * Flags are free there.  weld_cold_over: the caller has stepped over a red
 * zone, and is brought back.  weld_cold: of the red zone, the caller has given
 * the slot of the return address.  That is not changed: a shadow stack may be
 * watching. */
	.macro	COLD name, over
	FUNCTION \name
	lea	-120(%rsp), %rsp
	.cfi_adjust_cfa_offset 120
	call	weld_arm
	push	%rax
	.cfi_adjust_cfa_offset 8
	push	%rcx
	.cfi_adjust_cfa_offset 8
	mov	136(%rsp), %rax
	movsbq	1(%rax), %rcx
	cmpb	$0x75, (%rax)
	je	1f
	movslq	2(%rax), %rcx
1:	add	%rcx, %rax
	movslq	-5(%rax), %rcx
	cmpb	$0, (%rax, %rcx)
	pop	%rcx
	.cfi_adjust_cfa_offset -8
	pop	%rax
	.cfi_adjust_cfa_offset -8
	lea	120(%rsp), %rsp
	.cfi_adjust_cfa_offset -120
	ret	$\over
	FINISH	\name
	.endm
	COLD	weld_cold, 0
	COLD	weld_cold_over, 128

/* A load of a program's, so of all registers only its own may change. */
	FUNCTION weld_task_load
	.irp	r, rax, rcx, rdx, rsi, rdi, r8, r9
	push	%\r
	.cfi_adjust_cfa_offset 8
	.endr
	mov	%r10, %rdi
	mov	%r11d, %esi
	call	task_load
	mov	%rax, %r10
	.irp	r, r9, r8, rdi, rsi, rdx, rcx, rax
	pop	%\r
	.cfi_adjust_cfa_offset -8
	.endr
	ret
	FINISH	weld_task_load

/* e_entry: nothing is above us. */
	FUNCTION weld_entry
	.cfi_undefined rip
	KEEP
	lea	80(%rsp), %rdi
	call	start_entry
	BRING_BACK
	jmp	weld_orig_entry
	FINISH	weld_entry

/* The same where sites are traps: before all else, they need a handler. */
	FUNCTION weld_trap_entry
	.cfi_undefined rip
	KEEP
	call	traps_arm
	BRING_BACK
	jmp	weld_entry
	FINISH	weld_trap_entry

/* SIGTRAP's handler.  Another one may follow (trap.c), which is to find the
 * registers as the kernel sets them, and the frame. */
	FUNCTION weld_trap
	.irp	r, rdi, rsi, rdx
	push	%\r
	.cfi_adjust_cfa_offset 8
	.endr
	call	trap_hit
	.irp	r, rdx, rsi, rdi
	pop	%\r
	.cfi_adjust_cfa_offset -8
	.endr
	mov	%rax, %rcx
	xor	%eax, %eax
	jrcxz	1f
	jmp	*%rcx
1:	ret
	FINISH	weld_trap

/* Where a handler returns to.  Unwinders without a description here know these
 * bytes, and look at the one before for such a description. */
	.section .text.weld_restore, "ax", @progbits
	.globl	weld_restore
	.hidden	weld_restore
	.type	weld_restore, @function
	.balign	16
	nop
weld_restore:
	mov	$15, %rax			/* rt_sigreturn */
	syscall
	.size	weld_restore, . - weld_restore

/* DT_INIT(argc, argv, envp) */
	FUNCTION weld_init
	KEEP
	call	start_init
	BRING_BACK
	jmp	weld_orig_init
	FINISH	weld_init

/* The C part changes flags, and nothing else: they are kept without popf,
 * which is slow. */
	.macro	EXCHANGE name, c
	FUNCTION \name
	push	%rax
	.cfi_adjust_cfa_offset 8
	lahf
	seto	%al
	push	%rax
	.cfi_adjust_cfa_offset 8
	call	\c
	pop	%rax
	.cfi_adjust_cfa_offset -8
	add	$127, %al
	sahf
	pop	%rax
	.cfi_adjust_cfa_offset -8
	ret
	FINISH	\name
	.endm
	EXCHANGE weld_exchange, returns_exchange
	EXCHANGE weld_exchange_to, returns_exchange_to

/* From pad k: the return address is on the stack, and below it k.  Goes on to
 * the code of the function's row, with the return address on the stack and all
 * registers and flags as they were. */
	FUNCTION weld_pad
	.cfi_adjust_cfa_offset 8
	push	%rax
	.cfi_adjust_cfa_offset 8
	push	%rcx
	.cfi_adjust_cfa_offset 8
	mov	16(%rsp), %eax
	lea	weld_returns(%rip), %rcx
	lea	(%rcx,%rax,8), %rcx		/* struct weld_pad: 16 bytes */
	mov	8(%rcx,%rax,8), %eax		/* late */
	lea	weld_info(%rip), %rcx
	movslq	(%rcx,%rax), %rax		/* code */
	lea	(%rcx,%rax), %rax
	mov	%rax, 16(%rsp)
	pop	%rcx
	.cfi_adjust_cfa_offset -8
	pop	%rax
	.cfi_adjust_cfa_offset -8
	lea	8(%rsp), %rsp
	.cfi_adjust_cfa_offset -8
	jmp	*-8(%rsp)
	FINISH	weld_pad

/* long vdso_call(func, clock, ts): our own stack may be aligned to 8 only. */
	FUNCTION vdso_call
	push	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_offset rbp, -16
	mov	%rsp, %rbp
	.cfi_def_cfa_register rbp
	and	$-16, %rsp
	mov	%rdi, %rax
	mov	%esi, %edi
	mov	%rdx, %rsi
	call	*%rax
	leave
	.cfi_def_cfa rsp, 8
	.cfi_restore rbp
	ret
	FINISH	vdso_call

	.section .note.GNU-stack, "", @progbits
