/* The site calls its trampoline from where the call was: the return address is
 * right at once. */
f:	push %rbx
	.byte 0x2e, 0x2e, 0x2e
	call f.weld
	pop %rbx
	ret
g:	mov $1, %eax
	ret

f.weld:	cmpb $0, X(%rip)
	je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	lea 8(%rsp), %rsp
	mov %rdi, %rsi
	push %rax
	lea X(%rip), %rax
	xchg %rax, (%rsp)
	{disp32} jmp g
.Lcold:	add $-128, %rsp
	call weld_cold_over
	jne .Lrun
	jmp .Lnext
.Llocked:
	lock incq X(%rip)
	jmp .Lbody
