f:	{disp32} jmp f.weld
	int3
	ret

f.weld:	cmpb $0, X(%rip)
	je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	test %edi, %edi
	{disp32} je f + 6
	inc %eax
	{disp32} jmp f + 6
.Lcold:	add $-128, %rsp
	call weld_cold_over
	jne .Lrun
	jmp .Lnext
.Llocked:
	lock incq X(%rip)
	jmp .Lbody
