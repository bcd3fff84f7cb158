/* probe: empty=uprobe:f+0x3 */
	.globl f
	.type f, @function
f:	cmp %rsi, %rdi
	mov $1, %ecx
	jl 1f
	mov %ecx, %eax
1:	ret
	.size f, . - f
	.section .note.GNU-stack, "", @progbits
