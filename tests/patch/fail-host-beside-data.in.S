/* probe: empty=uprobe:f */
/* inside the window (branch) */
/* A hop would find room in instructions that somebody else's code is moved
 * for; but what decodes here as such may be the table. */
	.globl f
	.type f, @function
f:	.cfi_startproc
	test %edi, %edi
2:	dec %edi
	jnz 2b
	lea 4f(%rip), %rdx
	movslq (%rdx,%rcx,4), %rcx
	add %rdx, %rcx
	jmp *%rcx
4:	.long 3f - 4b, 3f - 4b, 3f - 4b, 3f - 4b
3:	ret
	.cfi_endproc
	.size f, . - f
	.section .note.GNU-stack, "", @progbits
