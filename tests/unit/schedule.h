/* SPDX-License-Identifier: MIT */
/* schedule.h - threads as coroutines, whose every interleaving can be tried.
 *
 * Code under test is included with a schedule_step() in front of each access to
 * shared memory.  A plan says before which steps who goes on instead, and who is
 * killed there; a run follows the plan and is the same each time.
 */
#ifndef BPFWELD_SCHEDULE_H
#define BPFWELD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

enum { PLAN = 4, THREADS_MAX = 3, SCHEDULE_STACK = 32 << 10 };
static struct {
	struct preempt {
		uint64_t at; /* the step in front of which it happens */
		uint32_t to; /* which of the others goes on */
		bool kill;
	} plan[PLAN];
	uint32_t nplan, next, now, nthread;
	uint64_t steps;
	bool running, finished[THREADS_MAX], dead[THREADS_MAX];
	uint32_t mortal;             /* threads below this one can be killed */
	void (*switched)(uint32_t to); /* or NULL */
	void (*body)(void);
	uint64_t *thread[THREADS_MAX], *back; /* their stack pointers */
} s;

/* Go on with another stack.  (swapcontext() asks the kernel for the signal mask,
 * which costs as much as the rest of a run.) */
void schedule_swap(uint64_t **from, uint64_t *to);
__asm__(".text\n"
	"schedule_swap:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	push %r13\n"
	"	push %r14\n"
	"	push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n"
	"	pop %r14\n"
	"	pop %r13\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n");
enum { SCHEDULE_SAVED = 6 };

static uint32_t schedule_others(uint32_t *v)
{
	uint32_t n = 0;

	for (uint32_t t = 0; t < s.nthread; t++)
		if (t != s.now && !s.finished[t])
			v[n++] = t;
	return n;
}

static void schedule_go(uint32_t to)
{
	uint32_t from = s.now;

	s.now = to;
	if (s.switched)
		s.switched(to);
	schedule_swap(&s.thread[from], s.thread[to]);
}

static void schedule_leave(uint32_t to)
{
	uint32_t v[THREADS_MAX], n = schedule_others(v);

	s.finished[s.now] = true;
	if (!n)
		schedule_swap(&s.thread[s.now], s.back);
	schedule_go(v[to < n ? to : 0]);
}

static void schedule_step(void)
{
	uint32_t v[THREADS_MAX], n;

	if (!s.running || ++s.steps != s.plan[s.next].at)
		return;
	n = schedule_others(v);
	if (s.plan[s.next].kill && s.now < s.mortal) {
		s.dead[s.now] = true;
		schedule_leave(s.plan[s.next++].to);
	}
	if (n && s.plan[s.next].to < n)
		schedule_go(v[s.plan[s.next++].to]);
	else
		s.next++;
}

static void schedule_thread(void)
{
	s.body();
	schedule_leave(0);
}

/* A stack on which schedule_swap() returns to schedule_thread(). */
static uint64_t *schedule_stack(uint8_t *stack)
{
	uint64_t *sp = (uint64_t *)(stack + SCHEDULE_STACK) - 2;

#ifdef __SANITIZE_ADDRESS__ /* frames that never returned */
	__asan_unpoison_memory_region(stack, SCHEDULE_STACK);
#endif
	*sp = (uint64_t)schedule_thread;
	sp -= SCHEDULE_SAVED;
	memset(sp, 0, SCHEDULE_SAVED * sizeof(*sp));
	return sp;
}

/* Each thread runs body(), s.now saying which it is. */
static void schedule_run(void (*body)(void))
{
	static uint8_t stack[THREADS_MAX][SCHEDULE_STACK]
		__attribute__((aligned(16)));

	s.next = 0;
	s.body = body;
	for (uint32_t t = 0; t < s.nthread; t++) {
		s.finished[t] = s.dead[t] = false;
		s.thread[t] = schedule_stack(stack[t]);
	}
	s.now = 0;
	s.running = true;
	schedule_swap(&s.back, s.thread[0]);
	s.running = false;
}

static inline bool schedule_deaths(void)
{
	return s.dead[0] || s.dead[1] || s.dead[2];
}

static inline void schedule_tell(void)
{
	for (uint32_t i = 0; i < s.nplan; i++)
		printf("before step %d: %s to other %u\n", (int)s.plan[i].at,
		       s.plan[i].kill ? "killed;" : "switch", s.plan[i].to);
}

#endif
