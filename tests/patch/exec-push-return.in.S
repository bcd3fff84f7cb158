/* probe: empty=uprobe:f+0x1 */
	.globl f
	.type f, @function
f:	push %rdi
	mov (%rsp), %rsi
	call g
	pop %rdi
	ret
	.size f, . - f
	.type g, @function
g:	mov $1, %eax
	ret
	.size g, . - g
	.section .note.GNU-stack, "", @progbits
