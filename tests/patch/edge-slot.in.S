/* probe: empty=uprobe:f+0xe */
/* A lone ret behind which nothing is free, jumped to with 8 bits: the hop
 * stands in the window.  The je has no window of its own: g leads into it. */
	.globl f
	.type f, @function
f:	.cfi_startproc
	test %edi, %edi
	je 1f
2:	mov $1, %ecx
	mov $2, %edx
1:	ret
	.cfi_endproc
	.size f, . - f
	.type g, @function
g:	.cfi_startproc
	js 2b
	ret
	.cfi_endproc
	.size g, . - g
	.section .note.GNU-stack, "", @progbits
