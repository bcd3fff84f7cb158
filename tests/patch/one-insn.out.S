/* A program that does nothing: two jumps, the test and the count. */
f:	{disp32} jmp f.weld
	ret

f.weld:	cmpb $0, X(%rip)
	je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	mov $1, %eax
	{disp32} jmp f + 5
.Lcold:	add $-128, %rsp
	call weld_cold_over
	jne .Lrun
	jmp .Lnext
.Llocked:
	lock incq X(%rip)
	jmp .Lbody
