/* probe: empty=uprobe:f+0x7 */
/* inside the window (branch) */
	.globl f
	.type f, @function
f:	mov $3, %ecx
	xor %eax, %eax
2:	add %eax, %ecx
1:	inc %eax
	jnz 1b
	loop 2b
	ret
	.size f, . - f
	.section .note.GNU-stack, "", @progbits
