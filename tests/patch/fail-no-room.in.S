/* probe: empty=uprobe:f */
/* no padding follows */
	.globl f, g
	.type f, @function
f:	ret
	.size f, . - f
	.type g, @function
g:	mov $1, %eax
	ret
	.size g, . - g
	.section .note.GNU-stack, "", @progbits
