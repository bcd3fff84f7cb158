/* SPDX-License-Identifier: MIT */
/* mutate.c - programs of objects, with one to three things changed, judged by
 * the running kernel's verifier and by ours (change.h, judges.h).
 *
 *     mutate COUNT SEED OBJ...   so many; what the two say, and where they
 *                                differ a line for each pair of messages: how
 *                                often, the first object, program and seed, the
 *                                kernel's message, ours
 *     mutate -v SEED OBJ         one: the program, what is changed, both logs
 *
 * Both get what our loader has made of the object: linked, CO-RE applied, all
 * functions static.
 *
 * A mutant that the kernel refuses and we accept without guards has a line of
 * its own, when it is found: it is to be read, unless it is because of a rule
 * of the kernel's own.  Most are right, as we know more: what a quotient is,
 * that a lookup with a constant key is not NULL, that an address is used by
 * nobody. One in FEW may be such, by what the kernel says (less[]).  The exit
 * is 1 when there are more, or any other; 77: the kernel cannot be asked.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "change.h"
#include "judges.h"
#include "rewriter/kernel/kernel.h"

enum {
	SECONDS_MAX = 300,
	INSNS_MAX = 3000,      /* of a program, */
	PROCESSED_MAX = 50000, /* that is proved within these */
	ENTRIES_MAX = 1 << 20,
	FEW = 200
};

/* What the kernel refuses by rules of its own, as in compare.py. */
static const char *const rules[] = {
	"access beyond struct task_struct", /* ours has other fields */
	"same insn cannot be used with different pointers", /* ctx is memory */
	"cannot pass map_type 15 into func", /* refused when it is welded */
	"program of this type cannot use helper",
	"calling kernel function",
	"At program exit the register",
	"At callback return the register",
	NULL
};

/* What it says where it only knows less than we do of a number, of a NULL, or
 * of a branch that is not taken. */
static const char *const less[] = {
	"_or_null",
	"!read_ok",
	"math between",
	"makes map_value pointer be out of bounds",
	"unbounded memory access",
	"min value is negative",
	"min value is outside of the allowed memory range",
	"misaligned",
	"invalid mem access 'scalar'",
	"infinite loop detected",
	"variable offset stack pointer", /* atomics; it follows no such store */
	"invalid write to stack R1 off=0 size=0", /* nothing is written */
	NULL
};
static uint64_t plain; /* that we accept, where it is not that */

struct subject {
	struct bpf_set set;
	int *map_fd;
	const struct bpf_prog **prog; /* those that are changed */
	uint32_t nprog;
};
static struct arena arena;
static struct subject *subjects;
static uint32_t nsubjects, nprogs;
static char where[120]; /* what is being judged */

/* --- an object, in both worlds ----------------------------------------- */

static int file_read(const char *path, struct bytes *out)
{
	FILE *f = fopen(path, "r");
	uint8_t *p = NULL;
	size_t n = 0;
	int c;

	if (!f)
		return -1;
	while ((c = getc(f)) != EOF) {
		p = arena_push(&arena, p, n, 1);
		p[n++] = (uint8_t)c;
	}
	fclose(f);
	*out = (struct bytes){ p, n };
	return 0;
}

/* None is wanted, so that one which is wrong is no matter. */
static void leave_all(const struct bpf_object *obj, struct bpf_set *set)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, obj)
	{
		set->without = arena_push(&arena, set->without, set->nwithout,
					  sizeof(*set->without));
		set->without[set->nwithout++] =
			arena_strdup(&arena, bpf_program__name(p));
	}
}

static int map_make(const struct bpf_map_def *d)
{
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = d->flags,
		    .map_extra = d->extra);
	int fd;

	if (d->max_entries > ENTRIES_MAX)
		return -1;
	if (bpf_frozen(d))
		o.map_flags |= BPF_F_RDONLY_PROG;
	if (d->inner) {
		fd = map_make(d->inner);
		o.inner_map_fd = (uint32_t)fd;
	}
	if (d->type == BPF_MAP_TYPE_PERF_EVENT_ARRAY) /* ours is a ring */
		fd = bpf_map_create(d->type, "mutate", 4, 4, 1, &o);
	else
		fd = bpf_map_create(d->type, "mutate", d->key_size,
				    d->value_size, d->max_entries, &o);
	if (fd < 0 || !d->data || !d->initial.n)
		return fd;
	if (bpf_map_update_elem(fd, &(uint32_t){ 0 }, d->initial.p, 0) ||
	    (bpf_frozen(d) && bpf_map_freeze(fd))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What they begin with is no matter to the kernel, but for constants. */
static void maps_make(struct subject *s)
{
	s->map_fd = arena_alloc(&arena, (s->set.nmap + 1) * sizeof(*s->map_fd));
	for (uint32_t i = 0; i < s->set.nmap; i++) {
		s->map_fd[i] = map_make(&s->set.map[i]);
		if (s->map_fd[i] < 0)
			printf("%s: the kernel does not make its map %s\n",
			       s->set.object->path, s->set.map[i].name);
	}
}

static bool has_maps(const struct subject *s, const struct bpf_prog *p)
{
	for (uint32_t i = 0; i < s->set.nmap; i++)
		if (s->map_fd[i] < 0 && bpf_refers(p, i))
			return false;
	return true;
}

static bool calls_api(const struct bpf_prog *p)
{
	for (uint32_t i = 0; i < p->nsub; i++)
		if (p->api[i])
			return true;
	return false;
}

/* Those about which the two differ as they are would do so for ever. */
static bool is_subject(const struct subject *s, const struct bpf_prog *p)
{
	const struct trial t = { &s->set, p, s->map_fd, true };
	struct ours o = { 0 };

	if (p->session || p->ninsn > INSNS_MAX || calls_api(p) ||
	    !has_maps(s, p))
		return false;
	snprintf(where, sizeof(where), "%s %s", s->set.object->path, p->name);
	judge_ours(&t, NULL, &o);
	return o.processed <= PROCESSED_MAX &&
	       (!o.accepts || o.guards || judge_kernel(&t));
}

/* NULL, or why it is not used. */
static const char *object_load(const char *path, struct subject *s)
{
	struct bpf_input in = { .path = path };
	const struct kernel_heard *heard = kernel_listen();
	struct bpf_object *obj;
	struct err e;

	if (file_read(path, &in.bytes))
		return "cannot be read";
	obj = kernel_open("mutate", in.bytes);
	if (!obj)
		return arena_strdup(&arena, heard->warning);
	leave_all(obj, &s->set);
	if (bpf_load_bytes(&arena, &in, 1, NULL, 0, &s->set, &e))
		return arena_strdup(&arena, e.what);
	bpf_object__close(obj);
	maps_make(s);
	s->prog = arena_alloc(&arena, (s->set.nprog + 1) * sizeof(*s->prog));
	for (uint32_t i = 0; i < s->set.nprog; i++)
		if (is_subject(s, &s->set.prog[i]))
			s->prog[s->nprog++] = &s->set.prog[i];
	return s->nprog ? NULL : "no program to change";
}

static void subjects_load(char **path, int n)
{
	subjects = arena_alloc(&arena, (size_t)n * sizeof(*subjects));
	for (int i = 0; i < n; i++) {
		const char *why = object_load(path[i], &subjects[nsubjects]);

		if (why) {
			printf("%s: not used: %s\n", path[i], why);
			subjects[nsubjects] = (struct subject){ 0 };
		} else {
			nprogs += subjects[nsubjects++].nprog;
		}
	}
	judges_need(nprogs, "no program");
}

/* --- mutants ----------------------------------------------------------- */

/* Each object as often as it has programs.  What becomes of one must not hang
 * on the others, as -v gives it alone. */
static const struct subject *choose(uint64_t seed)
{
	struct chance c = chance_of(seed ^ UINT64_C(0x6f626a));
	uint32_t k = chance_below(&c, nprogs);
	const struct subject *s = subjects;

	while (k >= s->nprog)
		k -= (s++)->nprog;
	return s;
}

static struct bpf_prog mutant(struct arena *a, const struct subject *s,
			      uint64_t seed, const struct bpf_prog **of)
{
	struct chance c = chance_of(seed);
	struct bpf_prog p;

	*of = s->prog[chance_below(&c, s->nprog)];
	p = **of;
	p.ours = true;
	change(a, &c, &s->set, &p);
	snprintf(where, sizeof(where), "%s %s %llu", s->set.object->path,
		 p.name, (unsigned long long)seed);
	return p;
}

static void tell(const char *why)
{
	const char *const *of = less;

	while (*of && !strstr(why, *of))
		of++;
	plain += !*of;
	printf("WE ACCEPT%s\t%s\t%s\n", *of ? "" : ", PLAINLY", where, why);
}

static void judge(uint64_t seed)
{
	const struct subject *s = choose(seed);
	const struct bpf_prog *of;
	struct arena a = { 0 };
	struct ours o;
	struct bpf_prog p = mutant(&a, s, seed, &of);
	const struct trial t = { &s->set, &p, s->map_fd, true };

	if (judge_both(&t, rules, where, &o) == WE_ACCEPT)
		tell(o.kernels);
	arena_free(&a);
}

static void insn_print(const char *what, uint32_t i, const struct bpf_prog *p)
{
	const struct bpf_insn *n = &p->insn[i];

	printf("%s %4u: %02x r%d r%d %+d %d\n", what, i, n->code, n->dst_reg,
	       n->src_reg, n->off, n->imm);
}

static void look(uint64_t seed)
{
	const struct subject *s = choose(seed);
	const struct bpf_prog *of;
	struct arena a = { 0 };
	struct bpf_prog p = mutant(&a, s, seed, &of);
	const struct trial t = { &s->set, &p, s->map_fd, true };

	judges_look(&t);
	puts(where);
	for (uint32_t i = 0, k = 0; i < of->ninsn && k < p.ninsn; i++, k++) {
		if (!memcmp(&of->insn[i], &p.insn[k], sizeof(*p.insn)))
			continue;
		if (p.ninsn - k > of->ninsn - i &&
		    BPF_CLASS(of->insn[i].code) ==
			    BPF_CLASS(p.insn[k + 1].code) &&
		    of->insn[i].dst_reg == p.insn[k + 1].dst_reg) {
			insn_print("new", k++, &p);
			if (!memcmp(&of->insn[i], &p.insn[k], sizeof(*p.insn)))
				continue;
		}
		insn_print("was", i, of);
		insn_print(" is", k, &p);
	}
	arena_free(&a);
}

static void died(int sig)
{
	printf("%s: signal %d\n", where, sig);
	fflush(stdout);
	_exit(1);
}

int main(int argc, char **argv)
{
	uint64_t n, seed, made;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4) {
		fprintf(stderr, "usage: mutate COUNT|-v SEED OBJ...\n");
		return 2;
	}
	n = made = strtoull(argv[1], NULL, 0);
	seed = strtoull(argv[2], NULL, 0);
	judges_begin();
	signal(SIGALRM, died);
	signal(SIGSEGV, died);
	signal(SIGABRT, died);
	alarm(SECONDS_MAX);
	subjects_load(argv + 3, argc - 3);
	if (!strcmp(argv[1], "-v")) {
		look(seed);
		return 0;
	}
	printf("%u programs of %u objects\n", nprogs, nsubjects);
	for (; n--; seed++) {
		alarm(SECONDS_MAX);
		judge(seed);
	}
	judges_report();
	return plain || judges_total[WE_ACCEPT] > made / FEW;
}
