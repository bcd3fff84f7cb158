/* SPDX-License-Identifier: MIT */
/* versus.c - random programs, judged by the running kernel's verifier and by
 * ours, one after the other in this process.
 *
 *     versus COUNT [SEED]   so many; what the two say, and where they differ a
 *                           line for each pair of messages: how often, the
 *                           first seed, the kernel's message, ours
 *     versus -v SEED        one: the program, and both logs
 *
 * What the kernel refuses and we accept without guards is a fault of ours,
 * unless we know better: because of a rule or a limit of the kernel's
 * (better[]), or of bounds that it loses, which nobody but a reader can tell.
 * One in FEW may be such.  The exit is 1 when there are more, or when we differ
 * with ourselves; 77: the kernel cannot be asked.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jumble.h"
#include "rewriter/bpf/bpf.h"
#include "rewriter/kernel/kernel.h"
#include "rewriter/verify/program.h"
#include "runtime-stub/guard.h"

enum {
	LOG_SIZE = 1 << 24,
	SECONDS_MAX = 300,
	PAIRS_MAX = 400,
	FEW = 200,
	TEXT_MAX = 120
};

// clang-format off
static struct bpf_map_def maps[JUMBLE_MAPS] = {
	/*                 type                          key value entries */
	[JUMBLE_ARRAY] = { .type = BPF_MAP_TYPE_ARRAY,   .key_size = 4,
			   .value_size = 64, .max_entries = 4 },
	[JUMBLE_HASH]  = { .type = BPF_MAP_TYPE_HASH,    .key_size = 8,
			   .value_size = 64, .max_entries = 4 },
	[JUMBLE_RING]  = { .type = BPF_MAP_TYPE_RINGBUF, .max_entries = 4096 },
	[JUMBLE_DATA]  = { .type = BPF_MAP_TYPE_ARRAY,   .key_size = 4,
			   .value_size = 64, .max_entries = 1 },
};
// clang-format on

/* Messages of the kernel's about programs that are right. */
static const char *const better[] = {
	"BPF program is too large", "too complex", "verifier bug",
	"invalid size of register spill", /* part of an address is a number */
};

static uint64_t seed;

/* --- The kernel. */

static int map_fd[JUMBLE_MAPS], types_fd = -1;
static int32_t kfunc[3];
static uint32_t static_type;
static char kernel_log[LOG_SIZE];

static void need(bool good, const char *what)
{
	if (good)
		return;
	printf("versus: %s\n", what);
	exit(77);
}

/* The kernel wants to know of a callback that it is static. */
static void types_load(void)
{
	struct btf *b = btf__new_empty();
	int number = btf__add_int(b, "int", 4, BTF_INT_SIGNED), proto;

	proto = btf__add_func_proto(b, number);
	static_type = (uint32_t)btf__add_func(b, "f", BTF_FUNC_STATIC, proto);
	need(!btf__load_into_kernel(b), "the kernel takes no types");
	types_fd = btf__fd(b);
}

static void kernel_begin(void)
{
	static const char *const name[] = { "bpf_iter_num_new",
					    "bpf_iter_num_next",
					    "bpf_iter_num_destroy" };
	struct btf *b = btf__load_vmlinux_btf();
	const char *why = NULL;

	need(kernel_loads(&why), why);
	need(b, "the kernel has no types");
	for (int i = 0; i < 3; i++)
		kfunc[i] = btf__find_by_name_kind(b, name[i], BTF_KIND_FUNC);
	btf__free(b);
	need(kfunc[0] > 0 && kfunc[1] > 0 && kfunc[2] > 0, "no iterators");
	for (int i = 0; i < JUMBLE_MAPS; i++) {
		map_fd[i] = bpf_map_create(maps[i].type, "versus",
					   maps[i].key_size, maps[i].value_size,
					   maps[i].max_entries, NULL);
		need(map_fd[i] >= 0, "the kernel makes no maps");
	}
	types_load();
}

/* The same program, as the kernel has it. */
static void for_kernel(const struct jumble *j, struct bpf_insn *out)
{
	memcpy(out, j->insn, j->ninsn * sizeof(*out));
	for (uint32_t i = 0; i < j->ninsn; i++) {
		struct bpf_insn *p = &out[i];

		if (p->code == (BPF_JMP | BPF_CALL) && !p->src_reg &&
		    p->imm >= JUMBLE_ITER_NEW) {
			p->src_reg = BPF_PSEUDO_KFUNC_CALL;
			p->imm = kfunc[p->imm - JUMBLE_ITER_NEW];
		}
		if (p->code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		if (p->src_reg == BPF_PSEUDO_FUNC)
			p->imm -= (int32_t)i + 1;
		else if (p->src_reg)
			p->imm = map_fd[p->imm];
		i++;
	}
}

/* What the kernel makes of it, by its log.  A program that is right need not be
 * compiled, which takes long: a log that has no room for the statistics makes
 * the kernel stop in front of that.  So `stop` is quick, and knows no more than
 * the first words. */
enum {
	LOG_SHORT = 128,
	STATS_FIXED = 4 | 8
};
static const char *kernel_says(const struct jumble *j, uint32_t level,
			       bool stop)
{
	struct bpf_func_info info[JUMBLE_SUBS];
	struct bpf_insn insn[JUMBLE_MAX];
	union bpf_attr at;
	long fd;

	for (uint32_t i = 0; i < j->nsub; i++)
		info[i] = (struct bpf_func_info){ j->sub[i], static_type };
	for_kernel(j, insn);
	kernel_log[0] = 0;
	memset(&at, 0, sizeof(at));
	at.prog_type = BPF_PROG_TYPE_KPROBE;
	at.insns = (uint64_t)insn;
	at.insn_cnt = j->ninsn;
	at.license = (uint64_t) "GPL";
	at.log_level = level;
	at.log_buf = (uint64_t)kernel_log;
	at.log_size = stop ? LOG_SHORT : LOG_SIZE;
	at.prog_btf_fd = (uint32_t)types_fd;
	at.func_info = (uint64_t)info;
	at.func_info_cnt = j->nsub;
	at.func_info_rec_size = sizeof(*info);
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &at, sizeof(at));
	if (fd >= 0)
		close((int)fd);
	return kernel_log;
}

static bool kernel_accepts(const struct jumble *j)
{
	static const char stats[] = "verification time";

	return !strncmp(kernel_says(j, STATS_FIXED, true), stats,
			sizeof(stats) - 1);
}

/* --- Ours. */

struct ours {
	bool accepts;
	uint32_t guards;
	struct err why;
};

static void judge(const struct jumble *j, FILE *log, struct ours *out)
{
	static struct bpf_object_file file = { .path = "versus.bpf.o",
					       .name = "versus" };
	static const struct bpf_set set = {
		.object = &file, .nobject = 1, .map = maps, .nmap = JUMBLE_MAPS
	};
	struct arena a = { 0 };
	struct verified v = { 0 };
	struct bpf_prog p = {
		.name = "made",
		.section = "uprobe",
		.insn = arena_dup(&a, j->insn, j->ninsn * sizeof(*j->insn)),
		.ninsn = j->ninsn,
		.sub = arena_dup(&a, j->sub, j->nsub * sizeof(*j->sub)),
		.nsub = j->nsub,
		.api = arena_alloc(&a, j->nsub),
		.stack = 512,
		.ours = true,
	};

	for (int i = 0; i < JUMBLE_MAPS; i++)
		maps[i].name = "map";
	out->accepts =
		!bpf_check(&p, file.path, &out->why) &&
		!verify_program(&a, &set, &p, file.path, log, &v, &out->why);
	out->guards = v.guards;
	for (uint32_t i = 0; log && i < p.ninsn; i++)
		if (is_guard(&p.insn[i]))
			printf("guard %d of r%d at %u\n", p.insn[i].src_reg,
			       p.insn[i].dst_reg, i);
	arena_free(&a);
}

/* --- Both. */

enum verdict {
	BOTH_ACCEPT,
	BOTH_REFUSE,
	GUARDED,   /* the kernel refuses it */
	WE_REFUSE, /* the kernel accepts these */
	WE_GUARD,
	WE_ACCEPT,      /* the kernel refuses it */
	WE_KNOW_BETTER, /* so, too */
	WE_DIFFER,      /* with ourselves, when all numbers matter */
	VERDICTS
};
static const char *const word[VERDICTS] = {
	"both accept", "both refuse", "guarded, not refused", "we refuse",
	"we guard",    "WE ACCEPT",   "we accept more",       "WE DIFFER",
};
struct pair {
	enum verdict is;
	char kernels[TEXT_MAX], ours[TEXT_MAX];
	uint64_t first, n;
};
static struct pair pairs[PAIRS_MAX];
static uint32_t npairs;
static uint64_t total[VERDICTS];

/* Numbers are all one. */
static void squash(char *to, const char *from)
{
	size_t n = 0;

	for (; from && *from && n < TEXT_MAX - 2; from++) {
		if (isdigit((unsigned char)*from)) {
			if (n && to[n - 1] == 'N')
				continue;
			to[n++] = 'N';
		} else {
			to[n++] = *from;
		}
	}
	to[n] = 0;
}

static void count(enum verdict is, const char *kernels, const char *ours)
{
	struct pair new = { .is = is, .first = seed, .n = 1 };

	squash(new.kernels, kernels);
	squash(new.ours, ours);
	for (uint32_t i = 0; i < npairs; i++)
		if (pairs[i].is == is &&
		    !strcmp(pairs[i].kernels, new.kernels) &&
		    !strcmp(pairs[i].ours, new.ours)) {
			pairs[i].n++;
			return;
		}
	if (npairs < PAIRS_MAX)
		pairs[npairs++] = new;
}

static bool is_better(const char *why)
{
	for (size_t i = 0; i < sizeof(better) / sizeof(*better); i++)
		if (why && strstr(why, better[i]))
			return true;
	return false;
}

/* "program 'made' (insn 7): what" -> "what" */
static const char *said(const struct err *e)
{
	const char *p = strstr(e->what, "): ");

	return p ? p + 3 : e->what;
}

/* The other way to the same (program.h), where it is not too long. */
static void exactly(const struct jumble *j, const struct ours *o)
{
	struct ours x = { 0 };

	verify_exactly = true;
	judge(j, NULL, &x);
	verify_exactly = false;
	if (x.accepts == o->accepts && x.guards == o->guards)
		return;
	if (is_better(x.why.what) || is_better(o->why.what))
		return;
	total[WE_DIFFER]++;
	count(WE_DIFFER, x.accepts ? "accepted" : said(&x.why),
	      o->accepts ? "accepted" : said(&o->why));
}

static void versus(const struct jumble *j)
{
	struct arena a = { 0 };
	struct ours o = { 0 };
	bool kernels = kernel_accepts(j);
	enum verdict is;
	const char *why = NULL;

	judge(j, NULL, &o);
	if (kernels)
		is = !o.accepts ? WE_REFUSE : o.guards ? WE_GUARD : BOTH_ACCEPT;
	else
		is = !o.accepts ? BOTH_REFUSE : o.guards ? GUARDED : WE_ACCEPT;
	if (is == WE_ACCEPT) {
		why = kernel_reason(&a, kernel_says(j, 1, false));
		if (is_better(why))
			is = WE_KNOW_BETTER;
	}
	total[is]++;
	if (is >= WE_REFUSE)
		count(is, why, is == WE_REFUSE ? said(&o.why) : "");
	exactly(j, &o);
	arena_free(&a);
}

static void look(const struct jumble *j)
{
	struct ours o = { 0 };
	char *text = NULL;
	size_t n;
	FILE *log = open_memstream(&text, &n);

	for (uint32_t i = 0; i < j->ninsn; i++)
		printf("%4u: %02x r%d r%d %+d %d\n", i, j->insn[i].code,
		       j->insn[i].dst_reg, j->insn[i].src_reg, j->insn[i].off,
		       j->insn[i].imm);
	printf("kernel: %s\n", kernel_accepts(j) ? "accept" : "refuse");
	puts(kernel_says(j, 2, false));
	judge(j, log, &o); /* (It goes back in it.) */
	fclose(log);
	puts(text);
	free(text);
	printf("ours: %s, %u guards %s\n", o.accepts ? "accept" : "refuse",
	       o.guards, o.accepts ? "" : o.why.what);
}

static void died(int sig)
{
	printf("seed %llu: signal %d\n", (unsigned long long)seed, sig);
	fflush(stdout);
	_exit(1);
}

int main(int argc, char **argv)
{
	static struct jumble j;
	uint64_t n, made;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2)
		return 2;
	n = made = strtoull(argv[1], NULL, 0);
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	kernel_begin();
	if (!strcmp(argv[1], "-v")) {
		jumble(seed, &j);
		look(&j);
		return 0;
	}
	signal(SIGALRM, died);
	signal(SIGSEGV, died);
	signal(SIGABRT, died);
	for (; n--; seed++) {
		alarm(SECONDS_MAX);
		jumble(seed, &j);
		versus(&j);
	}
	for (int i = 0; i < VERDICTS; i++)
		printf("%-20s %llu\n", word[i], (unsigned long long)total[i]);
	for (uint32_t i = 0; i < npairs; i++)
		printf("%s\t%llu\tseed %llu\t%s\t%s\n", word[pairs[i].is],
		       (unsigned long long)pairs[i].n,
		       (unsigned long long)pairs[i].first, pairs[i].kernels,
		       pairs[i].ours);
	return total[WE_ACCEPT] > made / FEW || total[WE_DIFFER];
}
