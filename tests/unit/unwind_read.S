/* SPDX-License-Identifier: MIT */
/* unwind_read.S - functions with the frame descriptions and exception tables
 * that unwind_read.c expects to read back.  None of them is ever run.
 */
	.macro FUNC name
	.globl \name
	.type \name, @function
\name:	.cfi_startproc
	.endm
	.macro END name
	.cfi_endproc
	.size \name, . - \name
	.endm
	.macro AT name
	.globl \name
\name:
	.endm

	.text
FUNC fx_entry
	push %rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	pop %rbx
	.cfi_def_cfa_offset 8
	ret
END fx_entry

FUNC fx_cold            /* the CFA differs from the first byte on */
	.cfi_def_cfa_offset 32
	hlt
END fx_cold

FUNC fx_cold_register
	.cfi_def_cfa_register %rbp
	hlt
END fx_cold_register

FUNC fx_cold_saved      /* the CFA is as at an entry, %rbx is not */
	.cfi_offset %rbx, -16
	hlt
END fx_cold_saved

FUNC fx_outermost       /* like _start: an entry all the same */
	.cfi_undefined %rip
	hlt
END fx_outermost

FUNC fx_signal
	.cfi_signal_frame
	hlt
END fx_signal

/* ULEB call sites; two that touch and say the same; a gap; a landing pad. */
FUNC fx_throws
	.cfi_personality 0x1b, fx_personality
	.cfi_lsda 0x1b, lsda_uleb
AT fx_quiet
	call fx_entry
AT fx_quiet_middle
	call fx_entry
AT fx_gap
	nop
AT fx_try
	call fx_entry
AT fx_try_end
	ret
AT fx_pad
	hlt
END fx_throws

/* Four-byte call sites, pads counted from an LPStart of their own. */
FUNC fx_throws_4
	.cfi_personality 0x1b, fx_personality
	.cfi_lsda 0x1b, lsda_udata4
	nop
AT fx_try_4
	call fx_entry
AT fx_try_4_end
	ret
END fx_throws_4

FUNC fx_pads
	.cfi_def_cfa_offset 16
	nop
AT fx_pad_4
	hlt
END fx_pads

FUNC fx_personality
	ret
END fx_personality

	.section .gcc_except_table, "a", @progbits
lsda_uleb:
	.byte 0xff, 0xff, 0x01
	.uleb128 1f - 0f
0:	.uleb128 fx_quiet - fx_throws, fx_quiet_middle - fx_quiet, 0, 0
	.uleb128 fx_quiet_middle - fx_throws, fx_gap - fx_quiet_middle, 0, 0
	.uleb128 fx_try - fx_throws, fx_try_end - fx_try, fx_pad - fx_throws, 1
1:
	.balign 4
lsda_udata4:
	.byte 0x1b
	.long fx_pads - .
	.byte 0xff, 0x03
	.uleb128 1f - 0f
0:	.long fx_try_4 - fx_throws_4, fx_try_4_end - fx_try_4
	.long fx_pad_4 - fx_pads
	.uleb128 0
1:
	.section .note.GNU-stack, "", @progbits
