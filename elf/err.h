/* SPDX-License-Identifier: MIT */
/* err.h - errors as values: filled once where the fault is found, printed
 * once by the command, 0 or -1 in between.
 *
 * Faults of the user's input use fail(); our own bugs use assert().
 */
#ifndef BPFWELD_ERR_H
#define BPFWELD_ERR_H

#include <stdint.h>
#include <stdio.h>

#define NOWHERE UINT64_MAX

/* What the command exits with when this error ends it (DESIGN: 1 failed,
 * 2 usage, 3 unsupported input, 4 a probe was not placed). */
enum err_kind {
	ERR_FAILED = 1,
	ERR_USAGE = 2,
	ERR_UNSUPPORTED = 3,
	ERR_NOT_PLACED = 4,
};

struct err {
	const char *file; /* input at fault, or NULL; must outlive the error */
	uint64_t at;      /* offset, address or insn index, or NOWHERE */
	enum err_kind kind;
	char what[320];   /* one sentence: lower case, no full stop; of one that
			     is too long, its ends */
};

/* Describe a fault.  Always return -1, so that `return fail(...)` reads.
 * fail() is ERR_FAILED; refuse() is input we do not handle (exit 3);
 * misuse() is a wrong command line (exit 2). */
int fail(struct err *e, const char *file, uint64_t at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int refuse(struct err *e, const char *file, uint64_t at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int misuse(struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Print `bpfweld: FILE:0xAT: WHAT` as one line. */
void err_print(FILE *to, const struct err *e);

#endif
