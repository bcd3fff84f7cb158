/* Every register is live, so the one that both programs use is saved, once;
 * the last one attached runs first. */
f:	{disp32} jmp f.weld
	add $8, %rdi
	jmp *(%rdi)

f.weld:	lea -144(%rsp), %rsp
	mov %rax, (%rsp)
	cmpb $0, X(%rip)
	je .Lcold1
.Lrun1:	cmp %rsp, X(%rip)
	js .Llocked1
	incq X(%rip)
.Lbody1:
	movq $1, 8(%rsp)
	mov 8(%rsp), %rax
	mov %rax, X(%rip)
.Lnext1:
	cmpb $0, X(%rip)
	je .Lcold2
.Lrun2:	cmp %rsp, X(%rip)
	js .Llocked2
	incq X(%rip)
.Lbody2:
	mov %rdi, %rax
	mov %rax, X(%rip)
.Lnext2:
	mov (%rsp), %rax
	lea 144(%rsp), %rsp
	lea 1(%rdi,%rsi), %rdi
	{disp32} jmp f + 5
.Lcold1:
	call weld_cold
	jne .Lrun1
	jmp .Lnext1
.Llocked1:
	lock incq X(%rip)
	jmp .Lbody1
.Lcold2:
	call weld_cold
	jne .Lrun2
	jmp .Lnext2
.Llocked2:
	lock incq X(%rip)
	jmp .Lbody2
