/* SPDX-License-Identifier: MIT */
/* explain.h - everything that decides about one site (private to cli/).
 *
 *   reach.c          what leads to an address, and from where
 *   explain.c        the rest: code, frame, plan
 *   explain_print.c  for people, and as JSON
 */
#ifndef BPFWELD_EXPLAIN_H
#define BPFWELD_EXPLAIN_H

#include "rewriter/cli/args.h"
#include "rewriter/cli/cli.h"

/* Why an address may be reached other than by falling into it. */
struct reach {
	uint64_t at;
	enum target_why why;
	const char *from; /* "jne at 0x401030 (f+0x10)", or NULL: not known */
};
/* All of [lo, hi), in the order of their addresses. */
size_t reach_find(struct arena *a, const struct sites *s, uint64_t lo,
		  uint64_t hi, struct reach **out);
/* "main+0x10"; in no function: "0x401000". */
const char *reach_name(struct arena *a, const struct sites *s, uint64_t at);

struct shown { /* an instruction of the neighbourhood */
	struct insn in;
	char text[96];
};

/* What a plan says about one link. */
struct outcome {
	struct plan plan;
	uint32_t link;
};

struct explained {
	struct arena *a;
	const struct sites *s;
	const struct weld *w;  /* with objects, else NULL */
	uint64_t site;
	const struct func *f;
	struct shown *shown;
	size_t nshown;
	struct reach *reach;
	size_t nreach;
	bool framed;           /* CFA = cfa_reg + cfa_offset */
	uint64_t cfa_reg;      /* DWARF's number */
	int64_t cfa_offset;
	struct live live;
	struct outcome reached;
	bool entry;            /* of a function: the next two are known */
	struct body body;
	struct outcome returned;
};

/* `sp` is ADDR or FUNC[+OFF].  With `w`, its links are there as well. */
int explain_site(struct arena *a, const struct sites *s, const struct weld *w,
		 const char *sp, struct explained *out, struct err *e);
/* The patch that holds the link's first place, or NULL: not placed. */
const struct patch *explain_patch(const struct outcome *o);
/* What the patch's first bytes will be: bytes[0 .. p->len), of which
 * [*open, *open + 4) depend on where the trampoline is; *open < 0: none. */
void explain_bytes(const struct explained *x, const struct patch *p,
		   uint8_t *bytes, int *open);

void explain_text(const struct explained *x);
void explain_json(const struct explained *x);

/* check.c: of REG_BITs and bit 16, the flags. */
void regs_print(FILE *to, uint32_t regs);
void regs_json(struct json *j, const char *key, uint32_t regs);
/* list.c: "fde", "symbol", "both", "go", "calls". */
const char *known_from(const struct image *img, const struct func *f);

#endif
