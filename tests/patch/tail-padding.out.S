/* Two bytes of the padding are used; nothing comes back. */
f:	mov $1, %eax
	{disp32} jmp f.weld

f.weld:	cmpb $0, X(%rip)
	{disp32} je .Lcold
.Lrun:	lock incq X(%rip)
.Lnext:	inc %eax
	ret
.Lcold:	lea -128(%rsp), %rsp
	call weld_arm
	lea 128(%rsp), %rsp
	cmpb $0, X(%rip)
	{disp32} jne .Lrun
	{disp32} jmp .Lnext
