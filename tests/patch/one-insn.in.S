/* probe: empty=uprobe:f */
	.globl f
	.type f, @function
f:	mov $1, %eax
	ret
	.size f, . - f
	.section .note.GNU-stack, "", @progbits
