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
#include <errno.h>
#include <stdlib.h>

#include "rewriter/kernel/kernel.h"

enum {
	LOG_TRACE = 1, /* BPF_LOG_LEVEL1 */
	LOG_STATS = 4, /* BPF_LOG_STATS */
	LOG_SHORT = 1 << 20,
	LOG_LONG = 64 << 20
};

static uint32_t processed(const char *log)
{
	const char *at = NULL, *p = log;

	while ((p = strstr(p, "processed ")))
		at = p++;
	return at ? (uint32_t)strtoul(at + strlen("processed "), NULL, 10) : 0;
}

/* All are of one kind, the one that is asked about is the only one to load. */
static struct bpf_program *choose(const struct kernel_question *q,
				  struct bpf_object *obj)
{
	struct bpf_program *bp, *chosen = NULL;

	bpf_object__for_each_program(bp, obj)
	{
		bool it = !strcmp(bpf_program__name(bp), q->prog);

		bpf_program__set_autoload(bp, it);
		kernel_kind(bp, it ? q->attach_type : 0, it && q->sleeps);
		if (it)
			chosen = bp;
	}
	return chosen;
}

static void answer(struct arena *a, const struct kernel_heard *heard,
		   const char *log, int err, struct kernel_verdict *v)
{
	v->log = arena_strdup(a, log);
	v->insns = processed(log);
	if (!err || heard->loaded) {
		v->kind = KERNEL_ACCEPTS;
		return;
	}
	/* Without a word, it did not look. */
	v->kind = *heard->program && (*log || err != -EPERM) ? KERNEL_REFUSES
							     : KERNEL_UNASKED;
	v->why = v->kind == KERNEL_REFUSES ? kernel_reason(a, log) : NULL;
	if (!v->why)
		v->why = *heard->warning ? arena_strdup(a, heard->warning)
					 : strerror(-err);
}

static void ask(struct arena *a, const struct kernel_question *q,
		struct bpf_object *obj, const struct kernel_heard *heard,
		struct kernel_verdict *v)
{
	struct bpf_program *bp = choose(q, obj);
	size_t size = q->trace ? LOG_LONG : LOG_SHORT;
	char *log = calloc(1, size);
	struct err e;

	assert(log);
	if (!bp) {
		v->why = "libbpf does not find it";
	} else if (q->set && kernel_data(q->set, q->object, obj, &e)) {
		v->why = arena_strdup(a, e.what);
	} else {
		bpf_program__set_log_level(bp,
					   q->trace ? LOG_TRACE : LOG_STATS);
		bpf_program__set_log_buf(bp, log, size);
		answer(a, heard, log, bpf_object__load(obj), v);
	}
	free(log);
}

void kernel_judge(struct arena *a, const struct kernel_question *q,
		  struct kernel_verdict *v)
{
	const struct kernel_heard *heard = kernel_listen();
	struct bpf_object *obj = kernel_open(q->name, q->bytes);

	*v = (struct kernel_verdict){ .kind = KERNEL_UNASKED, .log = "" };
	if (obj)
		ask(a, q, obj, heard, v);
	else
		v->why = *heard->warning ? arena_strdup(a, heard->warning)
					 : "libbpf cannot open it";
	bpf_object__close(obj);
}
