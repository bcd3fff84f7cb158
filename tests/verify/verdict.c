/* SPDX-License-Identifier: MIT */
/* verdict.c - is a program safe?  Each program of the objects is judged alone,
 * in a process of its own: what one does to the judge is one line, too.
 *
 *     verdict [--kernel|--annotated] [--log] [--only PROG] OBJ...
 *
 * prints a line for each program, fields separated by tabs:
 *
 *     OBJ PROG VERDICT MILLISECONDS KBYTES MESSAGE
 *
 *   VERDICT      accept, guards N, refuse; foreign: it is no program for user
 *                space, and MESSAGE says why; crash: the judge found no end
 *   --kernel     ask the running kernel, as if it was a uprobe's program;
 *                KBYTES is the number of instructions that it looked at, and
 *                foreign what it was not asked
 *   --annotated  what the program says of itself by the macros of the kernel's
 *                selftests (bpf_misc.h): accept, refuse, or - (nothing)
 *   --only       one program, and in this process, for a debugger
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rewriter/bpf/bpf.h"
#include "rewriter/kernel/kernel.h"
#include "rewriter/verify/program.h"

enum {
	SECONDS_MAX = 120
};

struct answer {
	const char *verdict, *message;
	double ms;
	long kb;
};
struct subject { /* one program of one object */
	const char *path, *prog, *section;
	const char **others; /* the object's other programs */
	uint32_t nothers;
	struct bytes bytes;
	const struct btf *btf;
};

static bool show_log;
static const char *only; /* the program that is looked at, or NULL */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * t.tv_sec + t.tv_nsec / 1e6;
}

static long peak(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_maxrss;
}

/* --- Ours. */

/* 0 and the number of guards, or -1 and why. */
static int verify(struct arena *a, const struct bpf_set *set,
		  struct bpf_prog *p, uint32_t *guards, struct err *e)
{
	const char *file = set->object[p->object].path;
	struct verified v = { 0 };
	int ret = bpf_check(p, file, e) ||
		  verify_program(a, set, p, file, show_log ? stderr : NULL, &v,
				 e);

	*guards = v.guards;
	return ret;
}

/* Does a refusal say that user space has no such thing? */
static const char *foreign_or_wrong(const struct err *e)
{
	return e->kind == ERR_UNSUPPORTED ? "foreign" : "refuse";
}

/* 0 when it has been loaded; its verdict may still be a refusal. */
static int load(struct arena *a, const struct subject *s, struct bpf_set *set,
		struct err *e)
{
	struct bpf_input in = { s->path, s->bytes };

	*set = (struct bpf_set){ .without = s->others, .nwithout = s->nothers };
	if (bpf_load_bytes(a, &in, 1, NULL, 0, set, e))
		return -1;
	for (uint32_t i = 0; i < set->nunusable; i++)
		if (!strcmp(set->unusable[i].name, s->prog)) {
			*e = set->unusable[i].why;
			return -1;
		}
	return 0;
}

/* Only the verifier is timed.  A session is two programs. */
static void ours(struct arena *a, const struct subject *s, struct answer *out)
{
	uint32_t guards = 0, more = 0;
	struct bpf_set set;
	struct err e;
	int bad = load(a, s, &set, &e);
	double t = now();
	long kb = peak();

	for (uint32_t i = 0; !bad && i < set.nprog; i++) {
		if (strcmp(set.prog[i].name, s->prog))
			continue;
		bad = verify(a, &set, &set.prog[i], &more, &e);
		guards += more;
	}
	out->ms = now() - t;
	out->kb = peak() - kb;
	if (bad) {
		out->verdict = foreign_or_wrong(&e);
		out->message = arena_strdup(a, e.what);
	} else {
		out->verdict = guards ? arena_printf(a, "guards %u", guards)
				      : "accept";
	}
}

/* --- The kernel. */

static bool sleeps(const char *sec)
{
	size_t n = strcspn(sec, "/");

	return n > 2 && !memcmp(sec + n - 2, ".s", 2);
}

static void kernels(struct arena *a, const struct subject *s,
		    struct answer *out)
{
	static const char *const words[] = { "accept", "refuse", "foreign" };
	struct kernel_question q = {
		.name = "verdict",
		.bytes = s->bytes,
		.prog = s->prog,
		.attach_type = kernel_attach_type(s->section),
		.sleeps = sleeps(s->section),
		.trace = show_log,
	};
	struct kernel_verdict v;
	double t = now();

	kernel_judge(a, &q, &v);
	out->ms = now() - t;
	out->verdict = words[v.kind];
	out->message = v.why;
	out->kb = v.insns;
	if (show_log)
		fputs(v.log, stderr);
}

/* Programs of these sections are attached to something in the kernel, which
 * libbpf would look up though they are a uprobe's here. */
static void sections_override(void)
{
	static const char *const attached[] = {
		"tp_btf+",     "fentry+",  "fmod_ret+", "fexit+", "fentry.s+",
		"fmod_ret.s+", "fexit.s+", "freplace+", "lsm+",   "lsm.s+",
		"lsm_cgroup+", "iter+",    "iter.s+",
	};

	for (size_t i = 0; i < sizeof(attached) / sizeof(*attached); i++)
		libbpf_register_prog_handler(attached[i], BPF_PROG_TYPE_KPROBE,
					     0, NULL);
}

/* --- What selftests say of themselves. */

static void annotated(struct arena *a, const struct subject *s,
		      struct answer *out)
{
	static const char msg[] = "comment:test_expect_msg=";
	const char *sep = "";
	int func =
		s->btf ? btf__find_by_name_kind(s->btf, s->prog, BTF_KIND_FUNC)
		       : -1;

	out->verdict = "-";
	out->message = "";
	for (uint32_t i = 1; func > 0 && i < btf__type_cnt(s->btf); i++) {
		const struct btf_type *t = btf__type_by_id(s->btf, i);
		const char *tag = btf__name_by_offset(s->btf, t->name_off);

		if (!btf_is_decl_tag(t) || (int)t->type != func)
			continue;
		if (!strcmp(tag, "comment:test_expect_success"))
			out->verdict = "accept";
		else if (!strcmp(tag, "comment:test_expect_failure"))
			out->verdict = "refuse";
		else if (!strncmp(tag, msg, strlen(msg))) {
			tag = strchr(tag + strlen(msg), '=');
			out->message = arena_printf(a, "%s%s%s", out->message,
						    sep, tag ? tag + 1 : "");
			sep = " | ";
		}
	}
}

/* --- Each program by itself. */

static void (*judge)(struct arena *, const struct subject *,
		     struct answer *) = ours;

static void line_print(const char *path, const char *prog,
		       const struct answer *x)
{
	const char *slash = strrchr(path, '/');

	printf("%s\t%s\t%s\t%.1f\t%ld\t", slash ? slash + 1 : path, prog,
	       x->verdict, x->ms, x->kb);
	for (const char *p = x->message ? x->message : ""; *p; p++)
		putchar(*p == '\t' || *p == '\n' ? ' ' : *p);
	putchar('\n');
	fflush(stdout);
}

static void judge_alone(const struct subject *s)
{
	struct answer x = { .verdict = "crash" };
	struct arena a = { 0 };
	int status;
	pid_t pid;

	if (only && strcmp(only, s->prog))
		return;
	fflush(stdout);
	pid = only ? 0 : fork();
	if (pid < 0) {
		perror("verdict: fork");
		exit(1);
	}
	if (!pid) {
		alarm(only ? 0 : SECONDS_MAX);
		judge(&a, s, &x);
		line_print(s->path, s->prog, &x);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	if (!status)
		return;
	x.message = arena_printf(
		&a, "%s %d", WIFSIGNALED(status) ? "signal" : "exit",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	line_print(s->path, s->prog, &x);
	arena_free(&a);
}

static int file_read(struct arena *a, const char *path, struct bytes *out)
{
	FILE *f = fopen(path, "r");
	uint8_t *p = NULL;
	size_t n = 0;
	int c;

	if (!f)
		return -1;
	while ((c = getc(f)) != EOF) {
		p = arena_push(a, p, n, 1);
		p[n++] = (uint8_t)c;
	}
	fclose(f);
	*out = (struct bytes){ p, n };
	return 0;
}

static int object(const char *path)
{
	struct arena a = { 0 };
	struct answer none = { .verdict = "foreign" };
	const struct kernel_heard *heard = kernel_listen();
	struct subject s = { .path = path };
	const char **names = NULL, **sections = NULL;
	uint32_t n = 0, i, k;
	struct bpf_object *obj;
	struct bpf_program *p;

	if (file_read(&a, path, &s.bytes)) {
		perror(path);
		return 1;
	}
	obj = kernel_open("verdict", s.bytes);
	if (!obj) {
		none.message = heard->warning;
		line_print(path, "*", &none);
		arena_free(&a);
		return 0;
	}
	s.btf = bpf_object__btf(obj);
	bpf_object__for_each_program(p, obj)
	{
		names = arena_push(&a, names, n, sizeof(*names));
		sections = arena_push(&a, sections, n, sizeof(*sections));
		sections[n] = bpf_program__section_name(p);
		names[n++] = bpf_program__name(p);
	}
	s.others = arena_alloc(&a, (n + 1) * sizeof(*s.others));
	for (i = 0; i < n; i++) {
		for (s.nothers = k = 0; k < n; k++)
			if (k != i)
				s.others[s.nothers++] = names[k];
		s.prog = names[i];
		s.section = sections[i];
		judge_alone(&s);
	}
	bpf_object__close(obj);
	arena_free(&a);
	return 0;
}

int main(int argc, char **argv)
{
	const char *why;
	int i, bad = 0;

	for (i = 1; i < argc && argv[i][0] == '-'; i++)
		if (!strcmp(argv[i], "--kernel"))
			judge = kernels;
		else if (!strcmp(argv[i], "--annotated"))
			judge = annotated;
		else if (!strcmp(argv[i], "--log"))
			show_log = true;
		else if (!strcmp(argv[i], "--only") && i + 1 < argc)
			only = argv[++i];
		else
			argc = 0;
	if (i >= argc) {
		fprintf(stderr, "usage: verdict [--kernel|--annotated] "
				"[--log] [--only PROG] OBJ...\n");
		return 2;
	}
	if (judge == kernels && !kernel_loads(&why)) {
		fprintf(stderr, "verdict: %s\n", why);
		return 77;
	}
	sections_override();
	for (; i < argc; i++)
		bad |= object(argv[i]);
	return bad;
}
