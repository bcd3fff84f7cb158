/* SPDX-License-Identifier: MIT */
/* helpers.h - what helpers.c hands to helpers.bpf.c in its first argument. */
struct inputs {
	const char *word;     /* "hello" */
	const char *sentence; /* longer than the buffer */
	const char *empty;
	const char *fits;     /* with its NUL exactly as long as the buffer */
	const char *odd;      /* "unaligned", at an odd address */
	const char *last;     /* "end", its NUL is the last byte of a page */
	const char *runs_out; /* no NUL before the end of the last page */
	const char *unmapped;
	const char *no_read;  /* mapped, PROT_NONE */
	unsigned long zero;
};
