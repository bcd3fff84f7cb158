f:	{disp32} jmp f.weld
	int3
	ret

f.weld:	cmpb $0, X(%rip)
	{disp32} je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	{disp32} js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	test %edi, %edi
	{disp32} je f + 6
	inc %eax
	{disp32} jmp f + 6
.Lcold:	lea -128(%rsp), %rsp
	call weld_arm
	lea 128(%rsp), %rsp
	cmpb $0, X(%rip)
	{disp32} jne .Lrun
	{disp32} jmp .Lnext
.Llocked:
	lock incq X(%rip)
	{disp32} jmp .Lbody
