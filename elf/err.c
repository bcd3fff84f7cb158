/* SPDX-License-Identifier: MIT */
/* err.c - fill and print struct err. */
#include <inttypes.h>
#include <stdarg.h>

#include "elf/err.h"

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
	fputs("bpfweld: ", to);
	if (e->file)
		fprintf(to, "%s:", *e->file ? e->file : "''");
	if (e->at != NOWHERE)
		fprintf(to, "0x%" PRIx64 ":", e->at);
	fprintf(to, "%s%s\n", e->file || e->at != NOWHERE ? " " : "", e->what);
}
