/* SPDX-License-Identifier: MIT */
/* bind.h - connect programs to sites: SEC() names and -p options.
 *
 * In:   programs and functions.
 * Out:  links, sorted by address, then by when they run; the rest in the order
 *       in which they run: last attached first, as the kernel does (uprobes'
 *       consumer_add(); programs are attached in object order).
 * Then: every link's address is an instruction boundary of the image.
 */
#ifndef BPFWELD_BIND_H
#define BPFWELD_BIND_H

#include "elf/note.h"
#include "rewriter/bpf/bpf.h"
#include "rewriter/site/site.h"

enum spec_kind {
	SPEC_UPROBE,    /* an instruction is reached */
	SPEC_URETPROBE, /* a function returns */
	SPEC_SESSION,   /* both, for one program: uprobe.session */
	SPEC_USDT,
};

struct spec { /* uprobe:FUNC[@VER][+OFF], uprobe:0xADDR, uprobe:GLOB,
		 usdt:PROVIDER:NAME */
	enum spec_kind kind;
	const char *binary;  /* NULL: -p without one */
	const char *func;    /* may be a glob; NULL with addr; of USDT
				probes, PROVIDER:NAME */
	const char *version; /* NULL: any; "x" from f@x or f@@x */
	uint64_t addr, offset;
	bool glob;           /* unless a function is called so: Go's have
				stars in their names */
	bool literal;        /* looks like a glob and is none (SEC()) */
	bool (*matches)(const char *name, const char *glob);
	bool by_addr;
	uint64_t cookie;
};

enum link_when {
	WHEN_REACHED,  /* before the instruction at addr */
	WHEN_RETURNED, /* when the function that begins at addr has returned */
	WHEN_NOP5,     /* never: a nop of five bytes is to stand at addr, for
			  the kernel's own probes (usdt/nop5.c) */
};

struct link {
	uint32_t prog;            /* index into bpf_set.prog */
	uint8_t when;             /* enum link_when */
	uint64_t addr;            /* the probed instruction, or function */
	const struct func *func;  /* around it; never NULL */
	uint64_t offset;          /* addr - func->addr */
	uint64_t cookie;          /* bpf_get_attach_cookie() */
	const struct sdt_note *note;   /* the USDT probe, or NULL */
	const struct usdt_spec *usdt;  /* its arguments (usdt/usdt.h) */
	uint32_t order;           /* attach order, for sorting */
	uint32_t session;         /* 0, or the same for an entry and its return
				     that are one session */
	bool glob;                /* its spec was a glob: it may be left out
				     where it cannot be placed */
	bool overrides;           /* its program may return in the function's
				     place (bpf/override.c) */
};
struct links {
	struct link *link;
	size_t nlink;
	size_t nskipped;          /* programs for another binary */
	/* Of bind_rest() only: */
	uint32_t *homeless;       /* programs whose target nothing says */
	size_t nhomeless;
	struct lost {
		uint32_t prog;
		struct err why;
	} *lost;                  /* programs that cannot be bound */
	size_t nlost;
};

/* Parse a SEC() name or a -p option's right side. */
int spec_parse_sec(struct arena *a, const char *sec, struct spec *out,
		   bool *has_target, struct err *e);
int spec_parse(struct arena *a, const char *text, struct spec *out,
	       struct err *e);

/* Does a program of this SEC() take a struct pt_regs, so that -p may put it on
 * a uprobe whatever its SEC() says? */
bool spec_takes_regs(const char *sec);

/* What -p could say for a program whose SEC() names nothing in user space, with
 * FUNCTION or PROVIDER:NAME for what nobody knows; NULL when its SEC() is wrong
 * in other ways. */
const char *spec_suggest(struct arena *a, const char *sec);
/* Does it name a function of the kernel? */
bool spec_is_kernels(const char *sec);

/* The programs that "PROG=none" options leave out. */
const char **bind_without(struct arena *a, const char *const *opt,
			  uint32_t nopt, uint32_t *n);

/* `opt` is a list of "PROG=SPEC" ("PROG=SPEC,cookie=N", "PROG=none").  A
 * program named by an option uses its options and not its SEC().  A program
 * whose SEC() names another binary is skipped and counted; when nothing is
 * left, that is the error.  No such function: error with the closest names. */
int bind_links(struct arena *a, const struct sites *s,
	       const struct bpf_set *set, const char *const *opt,
	       uint32_t nopt, struct links *out, struct err *e);
/* The same of a set that is what is left of one (bpf_set.rest): the programs
 * that can be bound are, whatever the others are like. */
void bind_rest(struct arena *a, const struct sites *s,
	       const struct bpf_set *set, const char *const *opt,
	       uint32_t nopt, struct links *out);

#endif
