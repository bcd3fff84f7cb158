/* probe: empty=uprobe:f */
	.globl f
	.type f, @function
f:	test %edi, %edi
	je 1f
	inc %eax
1:	ret
	.size f, . - f
	.section .note.GNU-stack, "", @progbits
