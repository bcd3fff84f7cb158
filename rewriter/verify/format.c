/* SPDX-License-Identifier: MIT */
/* format.c - is a constant format right?  Asked of bpf_snprintf()'s, as the
 * kernel does before the program runs; of others when they are printed.
 */
#include <string.h>

#include "runtime-stub/format.h"

/* (call.h, which has an `enum kind` of its own.) */
bool format_fits(const char *p, uint64_t args);
bool format_reads(const char *p, unsigned *n);

bool format_fits(const char *p, uint64_t args)
{
	const char *end = p + strlen(p);
	struct spec s;

	while (*p) {
		if (!is_text((uint8_t)*p))
			return false;
		if (*p++ != '%')
			continue;
		p = spec_of(p, end, &s);
		if (!p || (s.kind != PERCENT && !args))
			return false;
		args -= s.kind != PERCENT;
	}
	return true;
}

bool format_reads(const char *p, unsigned *n)
{
	const char *end = p + strlen(p);
	struct spec s;

	for (*n = 0; *p;) {
		if (*p++ != '%')
			continue;
		p = spec_of(p, end, &s);
		if (!p)
			return false;
		*n += s.kind == STRING || s.kind == USER_STRING ||
		      s.kind == KERNEL_STRING || s.kind == IP4 || s.kind == IP6;
	}
	return true;
}
