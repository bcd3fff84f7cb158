/* SPDX-License-Identifier: MIT */
/* judges.c - see judges.h. */
#include "judges.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rewriter/bpf/object.h"
#include "rewriter/kernel/kernel.h"
#include "rewriter/verify/program.h"
#include "runtime-stub/guard.h"

enum {
	LOG_SIZE = 1 << 24,
	PAIRS_MAX = 2000,
	TEXT_MAX = 160,
	WHERE_MAX = 120
};

/* Messages of the kernel's about programs that are right. */
static const char *const better[] = { "BPF program is too large", "too complex",
				      "verifier bug", NULL };

/* --- The kernel. */

static int types_fd = -1;
static int32_t kfunc[HELPERS_END];
static uint32_t static_type;
static char kernel_log[LOG_SIZE];

void judges_need(bool good, const char *what)
{
	if (good)
		return;
	printf("%s: %s\n", program_invocation_short_name, what);
	exit(77);
}

/* The kernel wants to know of a callback that it is static. */
static void types_load(void)
{
	static struct btf *b; /* stays: types_fd is its */
	int number, proto;

	b = btf__new_empty();
	number = btf__add_int(b, "int", 4, BTF_INT_SIGNED);
	proto = btf__add_func_proto(b, number);
	static_type = (uint32_t)btf__add_func(b, "f", BTF_FUNC_STATIC, proto);
	judges_need(!btf__load_into_kernel(b), "the kernel takes no types");
	types_fd = btf__fd(b);
}

/* Kernel functions, by the numbers of ours. */
static void kfuncs_find(void)
{
	static const char *const name[HELPERS_END] = {
#define HELPER(id, name, ...) [id] = "bpf_" #name,
#include "runtime-stub/helpers.def"
#undef HELPER
	};
	struct btf *b = btf__load_vmlinux_btf();

	judges_need(b, "the kernel has no types");
	for (uint32_t i = HELPERS_OURS; i < HELPERS_END; i++)
		if (name[i])
			kfunc[i] = btf__find_by_name_kind(b, name[i],
							  BTF_KIND_FUNC);
	btf__free(b);
}

void judges_begin(void)
{
	const char *why = NULL;

	judges_need(kernel_loads(&why), why);
	kfuncs_find();
	judges_need(kfunc[252] > 0, "the kernel has no iterators");
	types_load();
}

/* The same program, as the kernel has it. */
static void for_kernel(const struct trial *t, struct bpf_insn *out)
{
	for (uint32_t i = 0; i < t->prog->ninsn; i++) {
		struct bpf_insn *p = &out[i];

		if (p->code == (BPF_JMP | BPF_CALL) && !p->src_reg &&
		    p->imm >= HELPERS_OURS && p->imm < HELPERS_END) {
			p->src_reg = BPF_PSEUDO_KFUNC_CALL;
			p->imm = kfunc[p->imm];
		}
		if (p->code != (BPF_LD | BPF_IMM | BPF_DW))
			continue;
		if (p->src_reg == BPF_PSEUDO_FUNC)
			p->imm -= (int32_t)i + 1;
		else if (p->src_reg)
			p->imm = t->map_fd[p->imm];
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
static const char *kernel_says(const struct trial *t, uint32_t level, bool stop)
{
	const struct bpf_prog *p = t->prog;
	struct arena a = { 0 };
	struct bpf_func_info *info =
		arena_alloc(&a, (p->nsub + 1) * sizeof(*info));
	struct bpf_insn *insn =
		arena_dup(&a, p->insn, p->ninsn * sizeof(*insn));
	union bpf_attr at;
	long fd;

	for (uint32_t i = 0; i < p->nsub; i++)
		info[i] = (struct bpf_func_info){ p->sub[i], static_type };
	for_kernel(t, insn);
	kernel_log[0] = 0;
	memset(&at, 0, sizeof(at));
	at.prog_type = BPF_PROG_TYPE_KPROBE;
	at.prog_flags = prog_sleeps(p) ? BPF_F_SLEEPABLE : 0;
	at.expected_attach_type = kernel_attach_type(p->section);
	at.insns = (uint64_t)insn;
	at.insn_cnt = p->ninsn;
	at.license = (uint64_t) "GPL";
	at.log_level = level;
	at.log_buf = (uint64_t)kernel_log;
	at.log_size = stop ? LOG_SHORT : LOG_SIZE;
	at.prog_btf_fd = (uint32_t)types_fd;
	at.func_info = (uint64_t)info;
	at.func_info_cnt = p->nsub;
	at.func_info_rec_size = sizeof(*info);
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &at, sizeof(at));
	if (fd >= 0)
		close((int)fd);
	arena_free(&a);
	return kernel_log;
}

bool judge_kernel(const struct trial *t)
{
	static const char stats[] = "verification time";

	return !strncmp(kernel_says(t, STATS_FIXED, true), stats,
			sizeof(stats) - 1);
}

const char *judge_kernels_log(const struct trial *t, uint32_t level)
{
	return kernel_says(t, level, false);
}

/* --- Ours. */

/* What is done with one that has been linked. */
static int settle(struct arena *a, const struct trial *t, struct bpf_prog *p,
		  const char *file, struct err *e)
{
	if (check_shape(p, file, e))
		return -1;
	bpf_settle(a, t->set, p);
	return 0;
}

void judge_ours(const struct trial *t, FILE *log, struct ours *out)
{
	const char *file = t->set->object[t->prog->object].path;
	struct arena a = { 0 };
	struct verified v = { 0 };
	struct bpf_prog p = *t->prog;

	p.insn = arena_dup(&a, p.insn, p.ninsn * sizeof(*p.insn));
	p.sub = arena_dup(&a, p.sub, p.nsub * sizeof(*p.sub));
	p.line = arena_dup(&a, p.line, p.nline * sizeof(*p.line));
	p.api = arena_alloc(&a, p.nsub + 1);
	out->accepts =
		!(t->raw && settle(&a, t, &p, file, &out->why)) &&
		!bpf_check(&p, file, &out->why) &&
		!verify_program(&a, t->set, &p, file, log, &v, &out->why);
	out->guards = v.guards;
	out->processed = v.processed;
	for (uint32_t i = 0; log && i < p.ninsn; i++)
		if (is_guard(&p.insn[i]))
			printf("guard %d of r%d at %u\n", p.insn[i].src_reg,
			       p.insn[i].dst_reg, i);
	arena_free(&a);
}

/* --- Both. */

static const char *const word[VERDICTS] = {
	"both accept", "both refuse", "guarded, not refused", "we refuse",
	"we guard",    "WE ACCEPT",   "we accept more",       "WE DIFFER",
};
struct pair {
	enum verdict is;
	char kernels[TEXT_MAX], ours[TEXT_MAX], first[WHERE_MAX];
	uint64_t n;
};
static struct pair pairs[PAIRS_MAX];
static uint32_t npairs;
uint64_t judges_total[VERDICTS];

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

static void count(enum verdict is, const char *kernels, const char *ours,
		  const char *where)
{
	struct pair new = { .is = is, .n = 1 };

	judges_total[is]++;
	if (is < WE_REFUSE)
		return;
	squash(new.kernels, kernels);
	squash(new.ours, ours);
	snprintf(new.first, sizeof(new.first), "%s", where);
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

static bool is_any(const char *why, const char *const *of)
{
	for (; why && of && *of; of++)
		if (strstr(why, *of))
			return true;
	return false;
}

/* "program 'made' (insn 7): what" -> "what" */
static const char *said(const struct err *e)
{
	const char *p = strstr(e->what, "): ");

	return p ? p + 3 : e->what;
}

void judge_exactly(const struct trial *t, const char *where,
		   const struct ours *o)
{
	struct ours x = { 0 };

	verify_exactly = true;
	judge_ours(t, NULL, &x);
	verify_exactly = false;
	if (x.accepts == o->accepts && x.guards == o->guards)
		return;
	if (is_any(x.why.what, better) || is_any(o->why.what, better))
		return;
	count(WE_DIFFER, x.accepts ? "accepted" : said(&x.why),
	      o->accepts ? "accepted" : said(&o->why), where);
}

enum verdict judge_both(const struct trial *t, const char *const *rules,
			const char *where, struct ours *o)
{
	struct arena a = { 0 };
	bool kernels = judge_kernel(t);
	enum verdict is;
	const char *why = NULL;

	*o = (struct ours){ 0 };
	judge_ours(t, NULL, o);
	if (kernels)
		is = !o->accepts ? WE_REFUSE
		     : o->guards ? WE_GUARD
				 : BOTH_ACCEPT;
	else
		is = !o->accepts ? BOTH_REFUSE
		     : o->guards ? GUARDED
				 : WE_ACCEPT;
	if (is == WE_ACCEPT) {
		why = kernel_reason(&a, judge_kernels_log(t, STATS_FIXED));
		snprintf(o->kernels, sizeof(o->kernels), "%s", why ? why : "");
		if (is_any(why, better) || is_any(why, rules))
			is = WE_KNOW_BETTER;
	}
	count(is, why, is == WE_REFUSE ? said(&o->why) : "", where);
	arena_free(&a);
	return is;
}

void judges_look(const struct trial *t)
{
	const struct bpf_prog *p = t->prog;
	struct ours o = { 0 };
	char *text = NULL;
	size_t n;
	FILE *log = open_memstream(&text, &n);

	for (uint32_t i = 0; i < p->ninsn; i++)
		printf("%4u: %02x r%d r%d %+d %d\n", i, p->insn[i].code,
		       p->insn[i].dst_reg, p->insn[i].src_reg, p->insn[i].off,
		       p->insn[i].imm);
	printf("kernel: %s\n", judge_kernel(t) ? "accept" : "refuse");
	puts(judge_kernels_log(t, 2));
	judge_ours(t, log, &o); /* (It goes back in it.) */
	fclose(log);
	puts(text);
	free(text);
	printf("ours: %s, %u guards %s\n", o.accepts ? "accept" : "refuse",
	       o.guards, o.accepts ? "" : o.why.what);
}

void judges_report(void)
{
	for (int i = 0; i < VERDICTS; i++)
		printf("%-20s %llu\n", word[i],
		       (unsigned long long)judges_total[i]);
	for (uint32_t i = 0; i < npairs; i++)
		printf("%s\t%llu\t%s\t%s\t%s\n", word[pairs[i].is],
		       (unsigned long long)pairs[i].n, pairs[i].first,
		       pairs[i].kernels, pairs[i].ours);
}
