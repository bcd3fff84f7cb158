/* probe: empty=uprobe:f+0x5 */
	.globl f
	.type f, @function
f:	mov $1, %eax
	inc %eax
	ret
	.size f, . - f
	.balign 16
	.globl g
	.type g, @function
g:	ret
	.size g, . - g
	.section .note.GNU-stack, "", @progbits
