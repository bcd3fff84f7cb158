/* Two bytes of the padding are used; nothing comes back. */
f:	mov $1, %eax
	{disp32} jmp f.weld

f.weld:	cmpb $0, X(%rip)
	{disp32} je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	{disp32} js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	inc %eax
	ret
.Lcold:	lea -128(%rsp), %rsp
	call weld_arm
	lea 128(%rsp), %rsp
	cmpb $0, X(%rip)
	{disp32} jne .Lrun
	{disp32} jmp .Lnext
.Llocked:
	lock incq X(%rip)
	{disp32} jmp .Lbody
