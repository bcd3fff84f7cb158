/* SPDX-License-Identifier: MIT */
/* usdt.S - probes with every form of operand, at sites whose registers hold
 * known values.  (Compilers write most of these, but not on demand.)
 *
 * forms(area): registers are set once, all sites follow; 128 bytes, and behind
 * them nothing that can be read. */

/* A nop and a note as sys/sdt.h writes them; newer headers let more nops
 * follow. */
.macro	site name, args, sema=0
990:	nop
	.pushsection .note.stapsdt, "", "note"
	.balign	4
	.4byte	992f-991f, 994f-993f, 3
991:	.asciz	"stapsdt"
992:	.balign	4
993:	.8byte	990b
	.8byte	_.stapsdt.base
	.8byte	\sema
	.asciz	"forms"
	.asciz	"\name"
	.asciz	"\args"
994:	.balign	4
	.popsection
.endm
.macro	probe name, args, sema=0
	site	\name, "\args", \sema
	mov	%r12, %r12	/* no two sites in one window */
	mov	%r12, %r12
.endm

	.section .stapsdt.base, "aG", "progbits", .stapsdt.base, comdat
	.weak	_.stapsdt.base
	.hidden	_.stapsdt.base
_.stapsdt.base:
	.space	1
	.size	_.stapsdt.base, 1

	.section .probes, "aw"
	.balign	2
lone_semaphore:
	.2byte	0
pair_semaphore:
	.2byte	0
	.global	unused_semaphore
unused_semaphore:
	.2byte	0

	.data
	.balign	8
	.type	gi, @object
	.size	gi, 4
gi:	.4byte	-1234
	.balign	8
	.global	stats
	.type	stats, @object
	.size	stats, 24
stats:	.8byte	0x1111222233334444, 0x5555666677778888, 0x9999aaaabbbbcccc
	.type	table, @object
	.size	table, 32
table:	.8byte	100, 200, 300, 400

	.section .tdata, "awT"
	.balign	8
	.global	tl
	.type	tl, @object
	.size	tl, 16
tl:	.8byte	-77, 0x7172737475767778

	.text
	.global	forms
	.type	forms, @function
forms:	.cfi_startproc
	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rbx, -16
	push	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rbp, -24
	push	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_offset %r12, -32
	push	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_offset %r15, -40
	movabs	$0x0807060504030201, %rax
	movabs	$0xf1f2f3f4f5f6f7f8, %rcx
	movabs	$0x400921fb54442d18, %rdx	/* 3.14159... */
	movabs	$0x1112131485161788, %rbx
	movabs	$-5, %rsi
	movabs	$0x9192939495969798, %r8
	movabs	$0xa1a2a3a4a5a6a7a8, %r9
	mov	$3, %r10d
	mov	$-2, %r11
	movabs	$0xc1c2c3c4c5c6c7c8, %r15
	lea	64(%rdi), %rbp		/* the middle of the area */
	lea	table(%rip), %r12
	movq	$77, -8(%rsp)

	probe	regs, "8@%rax -4@%ecx 2@%dx 1@%bl 1@%ah -1@%bh -8@%rsi 4@%r9d 2@%r15w -1@%r8b -4@%ebx %r10"
	probe	consts, "8@$5 -4@$-9 1@$300 -1@$255 8@$0x7fffffffffffffff 8@$18446744073709551615 4@$-1 -2@$0x8000"
	probe	floats, "8f@%rdx 4f@%edx 8f@(%rbp) 4f@4(%rbp)"
	probe	memory, "8@-64(%rbp) -4@-60(%rbp) 2@(%rbp) 1@1(%rbp) -1@7(%rbp) -2@6(%rbp) 8@0x8(%rbp) 8@8+8(%rbp) 8@(%r12) 8@-8(%rsp)"
	probe	sib, "8@(%r12,%r10,8) 8@8(%r12,%r11,4) 1@-1(%rbp,%r10) -1@(%rbp,%r10,2) 4@8(%r12,%r10,1)"
	probe	symbols, "-4@gi(%rip) 8@stats(%rip) 8@stats+8(%rip) -4@12+stats(%rip) 2@stats+24-2(%rip) 8@16+table(%rip)"
	probe	local, "8@%fs:tl@tpoff -4@%fs:tl@tpoff 8@%fs:tl@tpoff+8 2@%fs:4+tl@tpoff+8 8@%fs:tl@tpoff+14(%r11)"
	probe	own, "8@%rsp 8@%rip"
	probe	wrong, "8@(%r10) -4@-1(%rsi,%r10,8) 8@%xmm0 8@nowhere(%rip) 4@%ebx"
	probe	edge, "4@60(%rbp) -1@63(%rbp) 8@60(%rbp) 8@56(%rbp) 2@64(%rbp)"
	probe	nothing, ""
	probe	lone, "8@%rax", lone_semaphore
	probe	pair, "8@%rax", pair_semaphore
	probe	pair, "8@%rcx", pair_semaphore
	probe	unused, "8@%rax", unused_semaphore
	site	nop5, "8@%rbx"
	.byte	0x0f, 0x1f, 0x44, 0, 0
	site	nop10, "8@%rdx"
	.byte	0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
	mov	$1, %eax
	site	tight, "4@%eax"	/* three sites in the way of each other, */
	mov	$2, %al
	site	tight, "4@%eax"
	site	tight, "-4@%eax"
	jne	1f
	nop
1:	site	behind, "4@%eax" /* and one that is jumped to */

	movzwl	lone_semaphore(%rip), %eax
	movzwl	pair_semaphore(%rip), %ecx
	movzwl	unused_semaphore(%rip), %edx
	imul	$100, %eax, %eax
	imul	$10, %ecx, %ecx
	add	%ecx, %eax
	add	%edx, %eax
	pop	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	pop	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	pop	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	forms, .-forms

	.section .note.GNU-stack, "", "progbits"
