/* probe: empty=uprobe:f+0x7 */
/* inside the window (branch) */
	.globl f
	.type f, @function
f:	mov $3, %ecx
	xor %eax, %eax
	add %eax, %ecx
1:	inc %eax
	loop 1b
	ret
	.size f, . - f
	.section .note.GNU-stack, "", @progbits
