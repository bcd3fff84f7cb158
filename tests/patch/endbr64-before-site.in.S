/* probe: empty=uprobe:f */
	.globl f
	.type f, @function
f:	endbr64
	push %rbx
	mov %rdi, %rbx
	inc %rbx
	mov %rbx, %rax
	pop %rbx
	ret
	.size f, . - f
	.section .note.GNU-stack, "", @progbits
