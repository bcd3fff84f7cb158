/* SPDX-License-Identifier: MIT */
/* judge.c - what the running kernel's verifier says of one program.
 *
 * The object is opened anew for each program, and that program is the only one
 * that is loaded: one that is refused says nothing of its neighbours.  All are
 * made kprobe programs first, whatever their SEC() says, because a uprobe's is
 * one, and programs in a map must be of one kind.
 *
 * Asked for statistics only, the verifier prints complaints and no trace, so
 * that the last line in front of "processed N insns" is the reason.
 */
#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "rewriter/kernel/kernel.h"

enum {
	LOG_TRACE = 1, /* BPF_LOG_LEVEL1 */
	LOG_STATS = 4, /* BPF_LOG_STATS */
	LOG_SHORT = 1 << 20,
	LOG_LONG = 64 << 20
};

/* libbpf gives its print function no context.  What it says last before it
 * gives up is why, where it never came to the verifier. */
static struct {
	char warning[300];
	bool loading; /* it has asked the kernel, and was refused */
	bool after;   /* the program was taken; what came then failed */
} heard;

static int listen(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[sizeof(heard.warning)];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = 0;
	if (strstr(text, "BPF program load failed"))
		heard.loading = true;
	else if (strstr(text, "failed to initialize slot"))
		heard.after = true;
	/* Of several, the first is the cause and the rest its consequences. */
	if (!*heard.warning)
		snprintf(heard.warning, sizeof(heard.warning), "%s",
			 strncmp(text, "libbpf: ", 8) ? text : text + 8);
	return 0;
}

/* Statistics, source lines, a dump of registers: no sentence. */
static bool is_noise(const char *line)
{
	static const char *const starts[] = {
		"verification time ",
		"stack depth ",
		"; ",
		"cur state:",
		"old state:",
		"caller:",
		"callee:",
		" R",
		" frame",
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (!strncmp(line, starts[i], strlen(starts[i])))
			return true;
	return !*line;
}

/* The last sentence of the log in front of its statistics; NULL: none. */
static const char *reason(struct arena *a, const char *log)
{
	char *text = arena_strdup(a, log), *end, *line;

	end = strncmp(text, "processed ", 10) ? strstr(text, "\nprocessed ")
					      : text;
	if (end)
		*end = 0;
	for (;;) {
		line = strrchr(text, '\n');
		line = line ? line + 1 : text;
		if (!is_noise(line))
			return line;
		if (line == text)
			return NULL;
		line[-1] = 0;
	}
}

static uint32_t processed(const char *log)
{
	const char *at = NULL, *p = log;

	while ((p = strstr(p, "processed ")))
		at = p++;
	return at ? (uint32_t)strtoul(at + strlen("processed "), NULL, 10) : 0;
}

static int prepare(const struct kernel_question *q, struct bpf_object *obj,
		   char *log, size_t size, struct bpf_program **out)
{
	struct bpf_program *bp;

	*out = NULL;
	bpf_object__for_each_program(bp, obj)
	{
		bool wanted = !strcmp(bpf_program__name(bp), q->prog);

		bpf_program__set_autoload(bp, wanted);
		bpf_program__set_type(bp, BPF_PROG_TYPE_KPROBE);
		bpf_program__set_expected_attach_type(bp, 0);
		if (wanted)
			*out = bp;
	}
	if (!*out)
		return -1;
	bpf_program__set_expected_attach_type(*out, q->attach_type);
	bpf_program__set_flags(*out, q->sleeps ? BPF_F_SLEEPABLE : 0);
	bpf_program__set_log_level(*out, q->trace ? LOG_TRACE : LOG_STATS);
	return bpf_program__set_log_buf(*out, log, size);
}

static void answer(struct arena *a, const char *log, int err,
		   struct kernel_verdict *v)
{
	v->log = arena_strdup(a, log);
	v->insns = processed(log);
	if (!err || heard.after) {
		v->kind = KERNEL_ACCEPTS;
		return;
	}
	v->kind = heard.loading ? KERNEL_REFUSES : KERNEL_UNASKED;
	v->why = heard.loading && *log ? reason(a, log) : NULL;
	if (!v->why)
		v->why = *heard.warning ? arena_strdup(a, heard.warning)
					: strerror(-err);
}

void kernel_judge(struct arena *a, const struct kernel_question *q,
		  struct kernel_verdict *v)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = q->name);
	libbpf_print_fn_t old = libbpf_set_print(listen);
	size_t size = q->trace ? LOG_LONG : LOG_SHORT;
	char *log = calloc(1, size);
	struct bpf_program *bp;
	struct bpf_object *obj;

	assert(log);
	memset(&heard, 0, sizeof(heard));
	*v = (struct kernel_verdict){ .kind = KERNEL_UNASKED, .log = "" };
	obj = bpf_object__open_mem(q->bytes.p, q->bytes.n, &opts);
	/* Some of its errors are no errnos and come out as wild pointers. */
	if ((intptr_t)obj <= 0) {
		v->why = *heard.warning ? arena_strdup(a, heard.warning)
					: "libbpf cannot open it";
		obj = NULL;
	} else if (prepare(q, obj, log, size, &bp)) {
		v->why = "libbpf does not find it";
	} else if (q->prepare && q->prepare(q->arg, obj)) {
		v->why = "libbpf does not take the initial values";
	} else {
		answer(a, log, bpf_object__load(obj), v);
	}
	bpf_object__close(obj);
	free(log);
	libbpf_set_print(old);
}
