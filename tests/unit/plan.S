/* SPDX-License-Identifier: MIT */
/* plan.S - places for patches, good and bad; never run.  The expectation is
 * written beside each: a tactic and a length, or a piece of the refusal.
 */
	.macro BEGIN name
px_\name:
	.endm
	.macro SITE name
ps_\name:
	.endm
	.macro END name, tactic, len
pe_\name:
	.pushsection .rodata.places_text, "a"
pn_\name:
	.asciz "\name"
pt_\name:
	.asciz "\tactic"
	.popsection
	.pushsection .data.rel.ro.places, "aw"
	.quad px_\name, ps_\name, pe_\name, pn_\name, pt_\name, \len
	.popsection
	.endm
	.macro CODEPTR addr
	.pushsection .data.rel.ro.places_ptr, "aw"
	.quad \addr
	.popsection
	.endm

	.pushsection .data.rel.ro.places, "aw"
	.globl places
places:
	.popsection
	.pushsection .data.rel.ro.places_ptr, "aw"
	.globl place_ptrs
place_ptrs:
	.popsection

	.section .places, "ax", @progbits
	.globl place_text
place_text:

BEGIN one_insn
SITE one_insn
	mov $1, %eax
	ret
END one_insn, instruction, 5
BEGIN one_insn_long
SITE one_insn_long
	movabs $0x1122334455667788, %rax
	ret
END one_insn_long, instruction, 10
BEGIN nop5
SITE nop5
	.byte 0x0f, 0x1f, 0x44, 0, 0
	ret
END nop5, nops, 5
BEGIN nop_run
SITE nop_run
	nop
	nop
	nopl (%rax)
	nop
	ret
END nop_run, nops, 5
BEGIN nop_and_code
SITE nop_and_code
	nop
	mov %rdi, %rax
	inc %eax
	ret
END nop_and_code, window, 6
BEGIN prologue
SITE prologue
	push %rbp
	mov %rsp, %rbp
	push %rbx
	ret
END prologue, window, 5
BEGIN window_jcc
SITE window_jcc
	test %edi, %edi
	je 1f
	inc %eax
1:	ret
END window_jcc, window, 6
BEGIN window_call
SITE window_call
	push %rbx
	call px_prologue
	pop %rbx
	ret
END window_call, window, 6
BEGIN call_inside
SITE call_inside
	call *%rax
	pop %rbx
	inc %eax
	ret
END call_inside, "a call returns to", 0
BEGIN call_indirect
SITE call_indirect
	mov %edi, %eax
	push %rbx
	call *%rax
	pop %rbx
	ret
END call_indirect, window, 5
BEGIN ends_early
	mov $1, %eax
SITE ends_early
	ret
END ends_early, earlier, 6
BEGIN ret_padding
	mov $1, %eax
SITE ret_padding
	inc %eax
	ret
END ret_padding, padding, 5
	.nops 8
BEGIN ret_int3
SITE ret_int3
	ret
END ret_int3, padding, 5
	.byte 0xcc, 0xcc, 0xcc, 0xcc
BEGIN ret_short_padding
SITE ret_short_padding
	ret
END ret_short_padding, "no padding follows", 0
	.byte 0xcc, 0xcc, 0xcc
BEGIN ret_inside
	test %edi, %edi
	je 1f
SITE ret_inside
	ret
	.byte 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
1:	mov $2, %eax
	ret
END ret_inside, padding, 5
BEGIN ret_inside_target
	test %edi, %edi
	je 1f
	js 2f
SITE ret_inside_target
	ret
	nop
1:	nop
	nop
	nop
	nop
	nop
2:	mov $2, %eax
	ret
END ret_inside_target, earlier, 5
BEGIN target_inside
	test %edi, %edi
	jne 1f
	js ps_target_inside
	inc %eax
SITE target_inside
	inc %eax
1:	inc %ecx
	inc %edx
	ret
END target_inside, "inside the window (", 0
BEGIN target_after
	test %edi, %edi
	jne 1f
	mov $2, %eax
SITE target_after
	inc %eax
	inc %ecx
	inc %edx
1:	ret
END target_after, window, 6
BEGIN own_start
SITE own_start
	dec %rdi
	jne ps_own_start
	ret
END own_start, window, 5
BEGIN lock_skipped
	test %edi, %edi
	je 1f
SITE lock_skipped
	lock
1:	cmpxchg %ecx, 8(%rdi)
	ret
END lock_skipped, "inside the window (", 0
BEGIN pointer_in_window
SITE pointer_in_window
	push %rbp
ptr_1:	mov %rsp, %rbp
	push %rbx
	ret
	CODEPTR ptr_1
END pointer_in_window, "inside the window (", 0
BEGIN pointer_in_insn
SITE pointer_in_insn
	movabs $0x1122334455667788, %rax
	ret
	CODEPTR ps_pointer_in_insn + 3
END pointer_in_insn, instruction, 10
BEGIN xbegin
SITE xbegin
	xbegin 1f
	xend
1:	ret
END xbegin, "xbegin at", 0
BEGIN far_call
SITE far_call
	push %rax
	lcall *4(%rsp)
	ret
END far_call, "a far call at", 0
BEGIN call_rsp
SITE call_rsp
	mov %edi, %eax
	inc %eax
	call *%rsp
	ret
END call_rsp, "a call to the stack pointer at", 0
BEGIN call_red_zone
SITE call_red_zone
	mov %rdi, -8(%rsp)
	call *-8(%rsp)
	ret
END call_red_zone, instruction, 5
BEGIN call_red_zone_first
	mov %rdi, -8(%rsp)
SITE call_red_zone_first
	nop
	call *-8(%rsp)
	ret
END call_red_zone_first, earlier, 6
BEGIN trap_inside
SITE trap_inside
	mov %edi, %eax
	int3
	inc %eax
	ret
END trap_inside, window, 5
BEGIN trap_end
SITE trap_end
	int3
END trap_end, window, 9
	.nops 8
BEGIN hop_to_padding
SITE hop_to_padding
	xor %eax, %eax
	ret
END hop_to_padding, hop, 2
BEGIN padded
	ret
END padded, padding, 5
	.set ps_padded, px_padded
	.nops 12
BEGIN hop_to_host
	test %edi, %edi
	jne 1f
	js ps_hop_to_host
	mov $2, %eax
SITE hop_to_host
	inc %eax
1:	inc %ecx
	mov $3, %eax
	mov $4, %edx
	ret
END hop_to_host, hop, 2
BEGIN hop_from_before
	test %edi, %edi
	jne 1f
	mov $2, %eax
1:	pop %rbx
SITE hop_from_before
	ret
END hop_from_before, hop, 2
BEGIN endbr
	.set ps_endbr, px_endbr
	endbr64
	push %rbp
	mov %rsp, %rbp
	pop %rbp
	ret
END endbr, window, 5
BEGIN endbr_entered
	.set ps_endbr_entered, px_endbr_entered
	endbr64
1:	push %rbp
	mov %rsp, %rbp
	pop %rbp
	dec %edi
	jne 1b
	ret
END endbr_entered, "behind the endbr64 (", 0
BEGIN endbr_inside
SITE endbr_inside
	inc %eax
	endbr64
	ret
END endbr_inside, "endbr64 at", 0
BEGIN bad_bytes
SITE bad_bytes
	inc %eax
	.byte 0x06, 0x06, 0x06
END bad_bytes, "no valid instruction at", 0
BEGIN two_rets /* with a byte of room each */
SITE two_rets
	test %edi, %edi
	je 1f
	js 2f
	mov $7, %eax
	int3
1:	ret
2:	ret
END two_rets, window, 6
BEGIN falls_off
SITE falls_off
	inc %eax
END falls_off, "the function ends at", 0

	.globl place_text_end
place_text_end:
	.pushsection .data.rel.ro.places, "aw"
	.globl places_end
places_end:
	.popsection
	.pushsection .data.rel.ro.places_ptr, "aw"
	.globl place_ptrs_end
place_ptrs_end:
	.popsection
	.section .note.GNU-stack, "", @progbits
