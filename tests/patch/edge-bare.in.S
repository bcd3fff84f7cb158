/* probe: empty=uprobe:f+0xf */
/* A ret that is jumped to and not fallen into: it stays, the jumps do not. */
	.globl f
	.type f, @function
f:	.cfi_startproc
	test %edi, %edi
	{disp32} je 1f
	xor %eax, %eax
	{disp32} jmp g
1:	ret
	.cfi_endproc
	.size f, . - f
	.type g, @function
g:	.cfi_startproc
	ret
	.cfi_endproc
	.size g, . - g
	.section .note.GNU-stack, "", @progbits
