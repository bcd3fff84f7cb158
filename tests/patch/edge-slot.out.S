f:	test %edi, %edi
	je 2f
	{disp32} jmp f.weld
2:	{disp32} jmp 1f
	int3

f.weld:	mov $1, %ecx
	mov $2, %edx
1:	cmpb $0, X(%rip)
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
