/* SPDX-License-Identifier: MIT */
/* odd - calls every function of odd.S and prints what it returns. */
#include <stdio.h>

/* clang-format off */
#define FUNCTIONS(F) \
	F(odd_rip_load) F(odd_rip_add) F(odd_jmp) F(odd_jmp_indirect) \
	F(odd_call) F(odd_call_indirect) F(odd_push) F(odd_pop) \
	F(odd_stack_pointer) F(odd_loop) F(odd_jrcxz) F(odd_jcc) \
	F(odd_flags) F(odd_narrow) F(odd_nop5) F(odd_fs) F(odd_popcnt) \
	F(odd_xmm) F(odd_endbr) F(odd_vex) \
	F(never_lock) F(never_cs) F(never_pushf) F(never_vex) \
	F(never_vex_jump)
/* clang-format on */
#define DECLARE(name) long name(long x);
#define ENTRY(name) { #name, name },
FUNCTIONS(DECLARE)

int main(void)
{
	static const struct {
		const char *name;
		long (*call)(long x);
	} function[] = { FUNCTIONS(ENTRY) };

	for (long x = 0; x < 6; x++)
		for (unsigned i = 0; i < sizeof(function) / sizeof(*function);
		     i++)
			printf("%s(%ld) = %ld\n", function[i].name, x,
			       function[i].call(x));
	return 0;
}
