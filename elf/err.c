/* SPDX-License-Identifier: MIT */
/* err.c - fill and print struct err. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "elf/err.h"
#include "elf/text.h"

/* Of a text that is too long, its two ends: what is long are names and words of
 * the command line, and behind them stands what is wrong with them. */
static void fit(char *to, size_t size, const char *text, size_t n)
{
	size_t head = size / 2, tail = size - 1 - head - strlen(" ... ");

	snprintf(to, size, "%.*s ... %s", (int)head, text, text + n - tail);
}

static void write_long(char *to, size_t size, size_t n, const char *fmt,
		       va_list ap)
{
	char *text = malloc(n + 1);

	if (!text)
		return; /* its beginning is there */
	vsnprintf(text, n + 1, fmt, ap);
	fit(to, size, text, n);
	free(text);
}

static int fill(struct err *e, enum err_kind kind, const char *file,
		uint64_t at, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	e->kind = kind;
	e->file = file;
	e->at = at;
	va_copy(again, ap);
	n = vsnprintf(e->what, sizeof(e->what), fmt, ap);
	if (n >= (int)sizeof(e->what))
		write_long(e->what, sizeof(e->what), (size_t)n, fmt, again);
	va_end(again);
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
