/* probe: look=uprobe:f stack=uprobe:f */
	.globl f
	.type f, @function
f:	lea 1(%rdi,%rsi), %rdi
	add $8, %rdi
	jmp *(%rdi)
	.size f, . - f
	.section .note.GNU-stack, "", @progbits
