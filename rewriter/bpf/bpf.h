/* SPDX-License-Identifier: MIT */
/* bpf.h - programs, maps and globals of all objects of one weld, linked.
 *
 * In:   paths of libbpf-style objects (clang -target bpf, v1 to v4).
 * Out:  programs whose instructions are complete: subprograms appended and
 *       calls resolved, CO-RE applied, map and data references numbered in
 *       one space for all objects.
 * Then: each program passed the structural checks (bpf_check): known opcodes
 *       and registers, jumps inside and not into an lddw, no fall off the end,
 *       nothing unreachable left, helpers known, ctx offsets inside pt_regs.
 */
#ifndef BPFWELD_BPF_H
#define BPFWELD_BPF_H

#include <linux/bpf.h>

#include "elf/arena.h"
#include "elf/bytes.h"
#include "elf/err.h"

struct btf;

enum bpf_data { DATA_NONE, DATA_DATA, DATA_RODATA, DATA_BSS, DATA_KCONFIG };

struct bpf_slot { /* an element that a map begins with */
	uint32_t key;
	uint32_t to; /* index of a program, or of a map */
};
struct bpf_map_def {
	const char *name;    /* as libbpf names it: "x.rodata" for internals */
	uint32_t object;     /* index into bpf_set.object */
	uint32_t type;       /* BPF_MAP_TYPE_* */
	uint32_t key_size, value_size, max_entries, flags;
	uint64_t extra;      /* map_extra */
	uint32_t btf_key, btf_value; /* BTF ids in the object's BTF; 0: none.
				        For data sections btf_value is the
				        DATASEC */
	enum bpf_data data;
	bool pinned;         /* LIBBPF_PIN_BY_NAME */
	struct bytes initial; /* of a data section: value_size bytes */
	struct bpf_map_def *inner; /* of a map of maps: what those are like */
	const char *not_traced; /* a type in its values because of which the
				   kernel lets no tracing program have it */
	struct bpf_slot *slot; /* of a map of programs or maps (refs.h) */
	uint32_t nslot;
	bool absent;          /* it cannot be had, but nothing that runs refers
				 to it: it has no place in the region
				 (rewriter/spare.c) */
};
/* Is it `initial` for ever?  (Programs can name its values only.) */
static inline bool bpf_frozen(const struct bpf_map_def *m)
{
	return m->data == DATA_RODATA || m->data == DATA_KCONFIG;
}

/* How instructions refer to things after loading (src_reg of lddw):
 *   BPF_PSEUDO_MAP_FD     imm = index into bpf_set.map
 *   BPF_PSEUDO_MAP_VALUE  imm = index into bpf_set.map, next imm = offset
 *   BPF_PSEUDO_FUNC       imm = insn index of a subprogram's first insn
 * calls: src_reg 0: imm = helper id; BPF_PSEUDO_CALL: imm relative as in the
 * kernel. */
struct bpf_line {
	uint32_t insn;
	const char *file, *text; /* source file, source line's text */
	uint32_t line, column;
};

/* Functions of libbpf's usdt.bpf.h, told by their names and types. */
enum bpf_api {
	API_NONE,
	API_USDT_ARG,     /* int bpf_usdt_arg(ctx, u64 n, long *res) */
	API_USDT_ARG_CNT, /* int bpf_usdt_arg_cnt(ctx) */
	API_USDT_COOKIE,  /* long bpf_usdt_cookie(ctx) */
};

struct bpf_prog {
	const char *name;      /* C name of the function */
	const char *section;   /* SEC() as written, without a leading '?' */
	uint32_t object;
	bool optional;         /* SEC("?..."), or not wanted */
	/* SEC("uprobe.session"): what runs on entry and what runs on return are
	 * two programs here, the second right behind the first. */
	enum bpf_session { SESSION_NONE, SESSION_ENTRY, SESSION_RETURN } session;
	bool cookie;           /* it asks for a session's cookie */
	struct bpf_insn *insn; /* [0, ninsn): the program, then its subprogs */
	uint32_t ninsn;
	uint32_t *sub;         /* first insn of each subprogram; sub[0] == 0 */
	uint8_t *api;          /* of each subprogram: enum bpf_api */
	uint32_t nsub;
	uint32_t of;           /* index of the program it was made from by
				  usdt_programs(); its own for all others */
	bool ours;             /* something was put in that calls helpers of
				  ours */
	bool guarded;          /* guards were put in (rewriter/bpf/guard.h) */
	uint64_t longest;      /* instructions that a run may come to, where
				  they are too many and GUARD_TURNs see to it;
				  else 0 */
	uint32_t stack;        /* deepest use of r10 in sub[0], bytes <= 512 */
	struct bpf_line *line; /* sorted by insn */
	uint32_t nline;
};

struct bpf_object_file {
	const char *path;
	const char *name;   /* libbpf's object name: file name up to its
			       first '.'; with _2 and so on when another
			       object has that name */
	struct bytes bytes; /* the file, for the manifest */
	struct btf *btf;    /* owned by the set */
};

/* A program that could not be loaded.  One of SEC("?...") is an error only for
 * who asks for it by name; because of any that is `wanted`, loading fails. */
struct bpf_unusable {
	const char *name, *section;
	uint32_t object;
	uint32_t before; /* where in bpf_set.prog it would be */
	bool wanted;
	struct err why;
};

struct bpf_set {
	struct bpf_object_file *object;
	uint32_t nobject;
	struct bpf_map_def *map;
	uint32_t nmap;
	struct bpf_prog *prog; /* in object and program order */
	uint32_t nprog;
	struct bpf_unusable *unusable;
	uint32_t nunusable;
	bool rest;           /* loading failed because of programs, and of
				nothing else: the others are there to be
				judged, and for nothing more */
	const char **without; /* by the caller: programs that it does not want,
				 treated as SEC("?...") */
	uint32_t nwithout;
	uint32_t cpus;     /* by the caller: that PERCPU maps have values for;
			      0: the default */
	const char **note; /* what is not as somebody might think */
	uint32_t nnote;
};

/* One more of them. */
void bpf_note(struct arena *a, struct bpf_set *set, const char *text);

/* Is instruction i the one that session.c has put in front, which reads where the
 * cookie is?  No other may read that word of struct hit. */
bool session_loads(const struct bpf_prog *p, uint32_t i);

/* `out` has what is the caller's, and is empty otherwise.
 * `set` is a list of "VAR=VALUE" for .rodata/.data variables (by BTF name;
 * integers, bool, char arrays in quotes), each of which must be used. */
int bpf_load(struct arena *a, const char *const *paths, uint32_t npaths,
	     const char *const *set, uint32_t nset, struct bpf_set *out,
	     struct err *e);
/* The same on bytes in memory, which must outlive the set (tests, fuzzers). */
struct bpf_input {
	const char *path;
	struct bytes bytes;
};
int bpf_load_bytes(struct arena *a, const struct bpf_input *in, uint32_t n,
		   const char *const *set, uint32_t nset, struct bpf_set *out,
		   struct err *e);
/* Both leave nothing to unload when they fail, but for what `rest` says; the
 * error is that of the first program that is wanted, and all of them are in
 * `unusable`. */
void bpf_unload(struct bpf_set *s); /* what libbpf lent; the arena stays */

/* Structural checks of one program; the error names program, instruction and
 * source line.  bpf_load() has called it. */
int bpf_check(const struct bpf_prog *p, const char *file, struct err *e);

/* SEC("uprobe.s"), SEC("usdt.s"), ...: may it sleep? */
bool prog_sleeps(const struct bpf_prog *p);

/* After instructions were changed: what can no longer be reached goes, and
 * `stack` is found again. */
void bpf_settle(struct arena *a, const struct bpf_set *set,
		struct bpf_prog *p);

/* In which programs may those of `start` continue by tail calls?  Two arrays of
 * nprog; `tailed` begins empty. */
void bpf_tailed(const struct bpf_set *set, const bool *start, bool *tailed);
/* Does one of its instructions name that map? */
bool bpf_refers(const struct bpf_prog *p, uint32_t map);
/* Is it in a map, and so needs no site? */
bool bpf_in_map(const struct bpf_set *set, uint32_t prog);
static inline bool bpf_calls(const struct bpf_prog *p, int32_t helper)
{
	for (uint32_t i = 0; i < p->ninsn; i++)
		if (p->insn[i].code == (BPF_JMP | BPF_CALL) &&
		    p->insn[i].src_reg == 0 && p->insn[i].imm == helper)
			return true;
	return false;
}

/* "file.bpf.c:12: text" of the instruction, or "insn N". */
const char *bpf_where(struct arena *a, const struct bpf_prog *p,
		      uint32_t insn);

#endif
