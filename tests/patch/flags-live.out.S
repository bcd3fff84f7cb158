/* rax is live, too: on the way to the ret it is not written. */
f:	cmp %rsi, %rdi
	{disp32} jmp f.weld
	jl 1f
	mov %ecx, %eax
1:	ret

f.weld:	lea -144(%rsp), %rsp
	mov %rax, (%rsp)
	lahf
	seto %al
	mov %eax, 8(%rsp)
	cmpb $0, X(%rip)
	je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	mov 8(%rsp), %eax
	add $0x7f, %al
	sahf
	mov (%rsp), %rax
	lea 144(%rsp), %rsp
	mov $1, %ecx
	{disp32} jmp f + 8
.Lcold:	call weld_cold
	jne .Lrun
	jmp .Lnext
.Llocked:
	lock incq X(%rip)
	jmp .Lbody
