/* SPDX-License-Identifier: MIT */
/* load.c - from objects to complete programs, in this order for all of them:
 *
 *   read and open   maps and data of every object get their numbers
 *   variables       .kconfig values, then --set, which says sizes of maps as
 *                   well: what prune_dead() folds must be final
 *   CO-RE, link     per object; a program with all its subprograms
 *   shape, prune    what frozen data switches off goes
 *   check           what is left must be something we can run
 *   slots           programs and maps that maps begin with
 *
 * A program in SEC("?...") is one that libbpf would not load by itself; so is
 * one that the command line leaves out.  When it cannot be used it is left out,
 * with the reason kept for who asks for it.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rewriter/bpf/object.h"

enum {
	FILE_MAX = 256 << 20
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int read_file(struct arena *a, const char *path, struct bytes *out,
		     struct err *e)
{
	/* O_NONBLOCK: a FIFO shall be an error, not a long wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret = -1;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	struct stat st;
	uint8_t *p;

	if (!f)
		return fail(e, path, NOWHERE, "%s%s", strerror(errno),
			    errno == ENOENT ? ": taken for a BPF object, as "
					      "all behind the target is"
					    : "");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		refuse(e, path, NOWHERE, "not a regular file");
		goto out;
	}
	if (st.st_size > FILE_MAX) {
		fail(e, path, NOWHERE, "larger than 256 MiB");
		goto out;
	}
	p = arena_alloc(a, st.st_size);
	if (fread(p, 1, st.st_size, f) != (size_t)st.st_size) {
		fail(e, path, NOWHERE, "cannot be read");
		goto out;
	}
	*out = (struct bytes){ p, st.st_size };
	ret = 0;
out:
	fclose(f);
	return ret;
}

static const struct bpf_object_file *namesake(const struct bpf_set *set,
					     const char *name)
{
	for (uint32_t i = 0; i < set->nobject; i++)
		if (!strcmp(set->object[i].name, name))
			return &set->object[i];
	return NULL;
}

void bpf_note(struct arena *a, struct bpf_set *set, const char *text)
{
	set->note = arena_push(a, set->note, set->nnote, sizeof(*set->note));
	set->note[set->nnote++] = text;
}

/* Objects of one name, from two directories or given twice, are as many: each
 * must have one by which its maps can be asked for. */
static const char *object_name(struct arena *a, struct bpf_set *set,
			       const char *path)
{
	const char *base = base_name(path);
	const char *first = arena_printf(a, "%.*s", (int)strcspn(base, "."),
					 base);
	const char *name = first;

	for (unsigned n = 2; namesake(set, name); n++)
		name = arena_printf(a, "%s_%u", first, n);
	if (name != first)
		bpf_note(a, set,
			 arena_printf(a, "%s: '%s' is %s already; maps of this "
				      "one are '%s:NAME'",
				      path, first, namesake(set, first)->path,
				      name));
	return name;
}

static int open_object(struct arena *a, struct object *o, struct bpf_set *set,
		       const struct bpf_input *in, struct err *e)
{
	o->path = in->path;
	o->name = object_name(a, set, in->path);
	o->file = in->bytes;
	o->index = set->nobject;
	set->object =
		arena_push(a, set->object, set->nobject, sizeof(*set->object));
	set->object[set->nobject++] = (struct bpf_object_file){
		.path = o->path,
		.name = o->name,
		.bytes = o->file,
	};
	return object_read(a, o, e) || object_open(a, o, set, e) ||
			       vars_kconfig(a, o, set, e)
		       ? -1
		       : 0;
}

/* A poisoned call that prune_dead() left can be reached. */
static int check_missing(struct arena *a, const struct object *o,
			 const struct bpf_prog *p, struct err *e)
{
	uint32_t i, k;

	for (i = 0; i < p->ninsn; i++) {
		const struct bpf_insn *insn = &p->insn[i];

		k = (uint32_t)insn->imm - POISON;
		if (insn->code == (BPF_JMP | BPF_CALL) && !insn->src_reg &&
		    k < o->nmissing)
			return refuse(e, o->path, NOWHERE, "%s: kernel %s",
				      program_at(a, p, i), o->missing[k]);
		if (insn->code == (BPF_LD | BPF_IMM | BPF_DW))
			i++;
	}
	return 0;
}

void bpf_settle(struct arena *a, const struct bpf_set *set, struct bpf_prog *p)
{
	prune_dead(a, set, p);
	p->stack = check_stack(p);
}

static int complete(struct arena *a, const struct object *o,
		    const struct bpf_set *set, const struct obj_func *f,
		    struct bpf_prog *p, struct err *e)
{
	if (link_prog(a, o, set, f, p, e) || check_shape(p, o->path, e))
		return -1;
	bpf_settle(a, set, p);
	if (check_missing(a, o, p, e) || session_finish(a, p, o->path, e) ||
	    bpf_check(p, o->path, e))
		return -1;
	p->stack = check_stack(p); /* a session's cookie deepens it */
	return 0;
}

static void leave_out(struct arena *a, struct bpf_set *set,
		      const struct bpf_prog *p, const struct err *e)
{
	set->unusable = arena_push(a, set->unusable, set->nunusable,
				   sizeof(*set->unusable));
	set->unusable[set->nunusable++] = (struct bpf_unusable){
		.name = p->name,
		.section = p->section,
		.object = p->object,
		.before = set->nprog,
		.wanted = !p->optional,
		.why = *e,
	};
}

static bool is_left_out(const struct bpf_set *set, const char *name)
{
	for (uint32_t i = 0; i < set->nwithout; i++)
		if (!strcmp(set->without[i], name))
			return true;
	return false;
}

/* Others may be wrong, too: the first one's error is that of all. */
struct faults {
	struct err *first;
	bool any;    /* there is a first one */
	bool object; /* not only programs are wrong */
};

static void note(struct faults *f, const struct err *why)
{
	if (!f->any)
		*f->first = *why;
	f->any = true;
}

static void note_object(struct faults *f, const struct err *why)
{
	note(f, why);
	f->object = true;
}

/* What cannot run here need not keep the others from it. */
static int hint_none(struct arena *a, const struct object *o, const char *name,
		     struct err *e)
{
	const char *what = arena_strdup(a, e->what);
	uint32_t n = 0;

	for (uint32_t i = 0; i < o->nfunc; i++)
		n += o->func[i].sec != o->text && o->func[i].global;
	if (e->kind == ERR_UNSUPPORTED && n > 1)
		snprintf(e->what, sizeof(e->what),
			 "%s; -p %s=none leaves it out", what, name);
	return -1;
}

static int load_program_as(struct arena *a, const struct object *o,
			   struct bpf_set *set, const struct obj_func *f,
			   enum bpf_session session, struct err *e)
{
	const char *sec = o->sec[f->sec].name;
	struct bpf_prog p = {
		.name = f->name,
		.section = sec + (*sec == '?'),
		.object = o->index,
		.optional = *sec == '?' || is_left_out(set, f->name),
		.session = session,
		.of = set->nprog,
	};

	if (complete(a, o, set, f, &p, e)) {
		leave_out(a, set, &p, e);
		return p.optional ? 0 : hint_none(a, o, f->name, e);
	}
	set->prog = arena_push(a, set->prog, set->nprog, sizeof(*set->prog));
	set->prog[set->nprog++] = p;
	return 0;
}

/* Both of its programs, or none. */
static int load_session(struct arena *a, const struct object *o,
			struct bpf_set *set, const struct obj_func *f,
			struct err *e)
{
	uint32_t nprog = set->nprog, lost = set->nunusable;
	int bad = load_program_as(a, o, set, f, SESSION_ENTRY, e);

	if (set->nunusable == lost)
		bad = load_program_as(a, o, set, f, SESSION_RETURN, e);
	if (set->nunusable > lost) {
		set->nprog = nprog;
		set->unusable[lost].before = nprog;
	}
	return bad;
}

static int load_program(struct arena *a, const struct object *o,
			struct bpf_set *set, const struct obj_func *f,
			struct err *e)
{
	const char *sec = o->sec[f->sec].name;

	return is_session(sec + (*sec == '?'))
		       ? load_session(a, o, set, f, e)
		       : load_program_as(a, o, set, f, SESSION_NONE, e);
}

static void load_programs(struct arena *a, struct object *o,
			  struct bpf_set *set, struct faults *faults)
{
	uint32_t i, before = set->nprog + set->nunusable;
	struct err why;

	if (core_apply(a, o, &why)) {
		note_object(faults, &why);
		return;
	}
	for (i = 0; i < o->nfunc; i++) {
		const struct obj_func *f = &o->func[i];

		if (f->sec != o->text && f->global &&
		    load_program(a, o, set, f, &why))
			note(faults, &why);
	}
	if (set->nprog + set->nunusable == before) {
		fail(&why, o->path, NOWHERE, "no program in this object");
		note_object(faults, &why);
	}
}

static int load(struct arena *a, const struct bpf_input *in, uint32_t n,
		const char *const *sets, uint32_t nset, struct bpf_set *out,
		struct err *e)
{
	struct object *o = arena_alloc(a, n * sizeof(*o));
	struct faults faults = { .first = e };
	struct err why;
	uint32_t i;

	for (i = 0; i < n; i++)
		if (open_object(a, &o[i], out, &in[i], e))
			return -1;
	for (i = 0; i < nset; i++)
		if (sizes_name(sets[i]) ? sizes_set(a, o, out, sets[i], e)
					: vars_set(a, o, out, sets[i], e))
			return -1;
	for (i = 0; i < n; i++) {
		load_programs(a, &o[i], out, &faults);
		if (!faults.object && slots_read(a, &o[i], out, &why))
			note_object(&faults, &why);
	}
	out->rest = faults.any && !faults.object;
	return faults.any ? -1 : 0;
}

int bpf_load_bytes(struct arena *a, const struct bpf_input *in, uint32_t n,
		   const char *const *set, uint32_t nset, struct bpf_set *out,
		   struct err *e)
{
	*out = (struct bpf_set){ .without = out->without,
				 .nwithout = out->nwithout,
				 .cpus = out->cpus };
	if (!load(a, in, n, set, nset, out, e))
		return 0;
	if (!out->rest)
		bpf_unload(out);
	return -1;
}

int bpf_load(struct arena *a, const char *const *paths, uint32_t npaths,
	     const char *const *set, uint32_t nset, struct bpf_set *out,
	     struct err *e)
{
	struct bpf_input *in = arena_alloc(a, npaths * sizeof(*in));
	uint32_t i;

	for (i = 0; i < npaths; i++) {
		in[i].path = paths[i];
		if (read_file(a, paths[i], &in[i].bytes, e))
			return -1;
	}
	return bpf_load_bytes(a, in, npaths, set, nset, out, e);
}

void bpf_unload(struct bpf_set *s)
{
	uint32_t i;

	for (i = 0; i < s->nobject; i++) {
		btf__free(s->object[i].btf);
		s->object[i].btf = NULL;
	}
}
