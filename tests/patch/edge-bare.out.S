f:	test %edi, %edi
	{disp32} je f.weld
	xor %eax, %eax
	{disp32} jmp g
	ret
g:	ret

f.weld:	cmpb $0, X(%rip)
	je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	ret
.Lcold:	add $-128, %rsp
	call weld_cold_over
	jne .Lrun
	jmp .Lnext
.Llocked:
	lock incq X(%rip)
	jmp .Lbody
