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
	{disp32} je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	{disp32} js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	mov 8(%rsp), %eax
	add $0x7f, %al
	sahf
	mov (%rsp), %rax
	lea 144(%rsp), %rsp
	mov $1, %ecx
	{disp32} jmp f + 8
.Lcold:	call weld_arm
	cmpb $0, X(%rip)
	{disp32} jne .Lrun
	{disp32} jmp .Lnext
.Llocked:
	lock incq X(%rip)
	{disp32} jmp .Lbody
