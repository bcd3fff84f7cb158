/* SPDX-License-Identifier: MIT */
/* object.h - one BPF object between its bytes and its programs; private to
 * rewriter/bpf.
 *
 *   object_read   bytes -> sections, symbols, relocations, functions; BTF and
 *                 .BTF.ext proved sound (types.c), so that nobody behind has
 *                 to check an index again
 *   object_open   the same through libbpf: maps, and BTF whose DATASECs have
 *                 their final offsets (open.c)
 *   vars_*        --set and .kconfig write into the data sections (vars.c)
 *   sizes_*       --set says how large a map is (sizes.c)
 *   core_apply    CO-RE records change instructions (core.c, uapi.h)
 *   types_api     a function is one of libbpf's usdt.bpf.h (api.c)
 *   kfunc_call    kernel functions that are helpers here (kfunc.c)
 *   link_prog     a program and the subprograms it needs (link.c)
 *   slots_read    programs and maps in maps (slots.c)
 *   prune_dead    what constants make unreachable goes (flow.c, prune.c)
 *
 * libbpf parses maps and types and nothing else: it relocates only while it
 * loads into a kernel, and there is none here.
 */
#ifndef BPFWELD_BPF_OBJECT_H
#define BPFWELD_BPF_OBJECT_H

#include <elf.h>
#include <stdbool.h>

#include "rewriter/bpf/bpf.h"

enum { INSN = sizeof(struct bpf_insn) };
#define NO_MAP UINT32_MAX

struct obj_reloc {
	uint64_t off; /* in the section it is for */
	uint32_t type, sym;
};

struct obj_section {
	const char *name;
	uint32_t type, link, info;
	uint64_t flags, size;
	struct bytes bytes;      /* empty for SHT_NOBITS */
	struct bpf_insn *insn;   /* executable: a copy that CO-RE may change */
	uint32_t ninsn;
	struct obj_reloc *rel;   /* sorted by off */
	uint32_t nrel;
	uint32_t map;            /* data: index into bpf_set.map, or NO_MAP */
};

struct obj_symbol {
	const char *name; /* a section symbol has its section's */
	uint64_t value, size;
	uint32_t sec;     /* SHN_UNDEF, SHN_ABS.. or a checked index */
	uint8_t type, bind;
};

struct obj_func { /* a function in an executable section */
	const char *name;
	uint32_t sec, start, n; /* instructions of the section */
	bool global;
};

struct obj_line {
	uint32_t sec, insn;
	const char *file, *text;
	uint32_t line, column;
};

struct obj_core {
	uint32_t sec, insn, type, kind;
	const char *access;
};

struct object {
	const char *path, *name;
	uint32_t index; /* in bpf_set.object */
	struct bytes file;
	struct obj_section *sec;
	uint32_t nsec, text; /* text: .text, or 0 */
	struct obj_symbol *sym;
	uint32_t nsym;
	struct obj_func *func; /* sorted by section and start */
	uint32_t nfunc;
	struct obj_line *line; /* sorted by section and insn */
	uint32_t nline;
	struct obj_core *core;
	uint32_t ncore;
	struct bytes btf_bytes, btf_strs;
	struct btf *btf;
	uint32_t kconfig; /* index of the .kconfig map, or NO_MAP */
	/* What user space does not have, "field 'x' does not ..": reached by a
	 * call of POISON + i. */
	const char **missing;
	uint32_t nmissing;
};
enum { HELPERS_OURS = 240, HELPERS_END = 256 }; /* helpers.def */
/* Stands for a call of bpf_session_cookie() until session.c knows where that is. */
enum { COOKIE_CALL = 0x7e550000 };
enum { POISON = 195896080 }; /* libbpf's number for the same purpose */

int object_read(struct arena *a, struct object *o, struct err *e);
int object_open(struct arena *a, struct object *o, struct bpf_set *set,
		struct err *e);

/* Every reference of a .BTF section points to something, every chain of types
 * ends.  `strs` gets its string table. */
int types_check(struct arena *a, const char *file, struct bytes btf,
		struct bytes *strs, struct err *e);
/* .BTF.ext: fills o->line and o->core. */
int types_ext(struct arena *a, struct object *o, struct bytes ext,
	      struct err *e);

/* Which of usdt.bpf.h's functions is `name`, by its type too? */
enum bpf_api types_api(const struct btf *btf, const char *name);

int vars_offsets(struct object *o, struct err *e);
int vars_kconfig(struct arena *a, struct object *o, struct bpf_set *set,
		 struct err *e);
int vars_set(struct arena *a, const struct object *o, struct bpf_set *set,
	     const char *assignment, struct err *e);
/* strtoull for both signs: *negative and the two's complement value. */
bool vars_number(const char *s, uint64_t *u, bool *negative);

/* sizes.c: is it "MAP.max_entries=N" or "MAP.value_size=N"?  Sets it. */
bool sizes_name(const char *assignment);
int sizes_set(struct arena *a, const struct object *o, struct bpf_set *set,
	      const char *assignment, struct err *e);

/* Offset of an extern in the .kconfig map; false: it is not one. */
bool vars_extern(const struct object *o, const struct bpf_set *set,
		 const char *name, uint32_t *off);

/* slots.c: `values` of the maps' definitions; programs are loaded by then. */
int slots_read(struct arena *a, const struct object *o, struct bpf_set *set,
	       struct err *e);

int core_apply(struct arena *a, struct object *o, struct err *e);

/* Fill p->insn, sub and line for the program that starts at `main`. */
int link_prog(struct arena *a, const struct object *o,
	      const struct bpf_set *set, const struct obj_func *main,
	      struct bpf_prog *p, struct err *e);
const struct obj_reloc *object_reloc(const struct obj_section *s, uint64_t off);
const struct obj_func *object_func(const struct object *o, uint32_t sec,
				   uint64_t start);

/* session.c: is this the SEC() of a session?  The call of a kernel function in
 * one of its two programs; false: not one of ours.  The second half of that,
 * when the program is linked and dead code is gone. */
bool is_session(const char *sec);
bool session_call(const struct bpf_prog *p, struct bpf_insn *insn,
		  const char *name);
int session_finish(struct arena *a, struct bpf_prog *p, const char *file,
		   struct err *e);

/* kfunc.c: a kernel function that we have; its call becomes a helper's. */
bool kfunc_exists(const char *name);
bool kfunc_call(struct bpf_prog *p, struct bpf_insn *insn, const char *name);

/* Opcodes, registers, jumps, reachability: what prune_dead() relies on. */
int check_shape(const struct bpf_prog *p, const char *file, struct err *e);
/* Remove what no value of frozen data lets the program reach. */
void prune_dead(struct arena *a, const struct bpf_set *set,
		struct bpf_prog *p);
/* Bytes below r10 that a checked program uses: bpf_prog.stack. */
uint32_t check_stack(const struct bpf_prog *p);
/* "program 'x' (x.bpf.c:12)": what messages about programs begin with. */
const char *program_at(struct arena *a, const struct bpf_prog *p,
		       uint32_t insn);
const char *place_at(struct arena *a, const struct bpf_prog *p, uint32_t insn);
/* helper.c: "bpf_trace_printk", or NULL past the kernel's last. */
const char *kernel_helper(uint32_t id);
/* The number of "BPF_FUNC_trace_printk"; 0: there is none.  Have we it? */
uint32_t helper_id(const char *enumerator);
bool helper_offered(uint32_t id);
/* NULL: this program may call it; else why not. */
const char *helper_refusal(const struct bpf_prog *p, uint32_t id);

/* Is this .rodata, .rodata.x, .data, .data.x, .bss, .bss.x? */
enum bpf_data data_section(const char *name);

#endif
