/* SPDX-License-Identifier: MIT */
/* sleepable.h - what sleepable.c hands to sleepable.bpf.c. */
struct places {
	unsigned long number;
	const char *word;
	const char *fresh;     /* a page that nobody has touched */
	const char *fresh_end; /* its last 8 bytes, then PROT_NONE */
	const char *of_file;
	const char *no_right;
	const char *unmapped;
};
