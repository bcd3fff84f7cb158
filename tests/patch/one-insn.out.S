/* A program that does nothing: two jumps, the test and the count. */
f:	{disp32} jmp f.weld
	ret

f.weld:	cmpb $0, X(%rip)
	{disp32} je .Lcold
.Lrun:	lock incq X(%rip)
.Lnext:	mov $1, %eax
	{disp32} jmp f + 5
.Lcold:	lea -128(%rsp), %rsp
	call weld_arm
	lea 128(%rsp), %rsp
	cmpb $0, X(%rip)
	{disp32} jne .Lrun
	{disp32} jmp .Lnext
