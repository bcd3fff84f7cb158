/* The endbr64 stays; int3 over the rest of the window.  The call of the cold
 * path may write where the push will. */
f:	endbr64
	{disp32} jmp f.weld
	int3
	int3
	mov %rbx, %rax
	pop %rbx
	ret

f.weld:	cmpb $0, X(%rip)
	je .Lcold
.Lrun:	cmp %rsp, X(%rip)
	js .Llocked
	incq X(%rip)
.Lbody:
.Lnext:	push %rbx
	mov %rdi, %rbx
	inc %rbx
	{disp32} jmp f + 11
.Lcold:	call weld_cold
	jne .Lrun
	jmp .Lnext
.Llocked:
	lock incq X(%rip)
	jmp .Lbody
