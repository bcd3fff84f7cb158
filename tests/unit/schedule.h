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
#include <ucontext.h>

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
	ucontext_t thread[THREADS_MAX], back;
} s;

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
	swapcontext(&s.thread[from], &s.thread[to]);
}

static void schedule_leave(uint32_t to)
{
	uint32_t v[THREADS_MAX], n = schedule_others(v);

	s.finished[s.now] = true;
	if (!n)
		setcontext(&s.back);
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

/* Each thread runs body(), s.now saying which it is. */
static void schedule_run(void (*body)(void))
{
	static uint8_t stack[THREADS_MAX][SCHEDULE_STACK]
		__attribute__((aligned(16)));

	s.next = 0;
	s.body = body;
	for (uint32_t t = 0; t < s.nthread; t++) {
		s.finished[t] = s.dead[t] = false;
		getcontext(&s.thread[t]);
		s.thread[t].uc_stack.ss_sp = stack[t];
		s.thread[t].uc_stack.ss_size = SCHEDULE_STACK;
		s.thread[t].uc_link = NULL;
		makecontext(&s.thread[t], schedule_thread, 0);
	}
	s.now = 0;
	s.running = true;
	swapcontext(&s.back, &s.thread[0]);
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
