/* SPDX-License-Identifier: MIT */
/* err.c - fill and print struct err. */
#include <inttypes.h>
#include <stdarg.h>

#include "elf/err.h"
#include "elf/text.h"

static int fill(struct err *e, enum err_kind kind, const char *file,
		uint64_t at, const char *fmt, va_list ap)
{
	e->kind = kind;
	e->file = file;
	e->at = at;
	vsnprintf(e->what, sizeof(e->what), fmt, ap);
	return -1;
}

int fail(struct err *e, const char *file, uint64_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_FAILED, file, at, fmt, ap);
	va_end(ap);
	return -1;
}

int refuse(struct err *e, const char *file, uint64_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_UNSUPPORTED, file, at, fmt, ap);
	va_end(ap);
	return -1;
}

int misuse(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_USAGE, NULL, NOWHERE, fmt, ap);
	va_end(ap);
	return -1;
}

void err_print(FILE *to, const struct err *e)
{
	const char *file = e->file && !*e->file ? "''" : e->file;
	char at[24] = "";

	if (e->at != NOWHERE)
		snprintf(at, sizeof(at), "0x%" PRIx64 ":", e->at);
	say_to(to, "bpfweld: %s%s%s%s%s\n", file ? file : "", file ? ":" : "",
	       at, file || *at ? " " : "", e->what);
}
