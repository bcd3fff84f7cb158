/* SPDX-License-Identifier: MIT */
/* target - the bench's target: one function a row, all alike, called in a loop.
 *
 * Reads lines "ROW CALLS" and answers each with nanoseconds per call and the
 * calls made, warming up included.  "ROW CALLS thread" calls from a thread of
 * its own: the main thread of a welded program counts hits without a lock.
 * "ROW CALLS two": from two of them at once, on two CPUs, so many from each.
 *
 * The functions begin with `push %rbp`, which the kernel emulates: the fast
 * case for its uprobes (a single-stepped instruction costs it 9,000 ns).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// clang-format off
#define ROW(name)                                                      \
	__asm__(".pushsection .text\n"                                 \
		".p2align 5\n"                                         \
		".type row_" #name ", @function\n"                     \
		"row_" #name ": .cfi_startproc\n"                      \
		"	push %rbp\n"                                   \
		"	.cfi_def_cfa_offset 16\n"                      \
		"	.cfi_offset 6, -16\n"                          \
		"	mov %rsp, %rbp\n"                              \
		"	.cfi_def_cfa_register 6\n"                     \
		"	lea (%rdi,%rsi), %rax\n"                       \
		"	pop %rbp\n"                                    \
		"	.cfi_def_cfa 7, 8\n"                           \
		"	ret\n"                                         \
		"	.cfi_endproc\n"                                \
		".size row_" #name ", .-row_" #name "\n"               \
		".popsection\n");                                      \
	long row_##name(long, long, long, long);
// clang-format on

ROW(empty)
ROW(args)
ROW(array)
ROW(plain)
ROW(hash)
ROW(return)
ROW(both)
ROW(ring)
ROW(perf)

/* ops.bpf.c */
ROW(array_lookup)
ROW(array_update)
ROW(hash_update)
ROW(hash_lookup)
ROW(hash_delete)
ROW(hash_new)
ROW(lru_update)
ROW(lru_lookup)
ROW(cpu_array)
ROW(cpu_array_put)
ROW(cpu_hash_put)
ROW(cpu_hash)
ROW(read_known)
ROW(read_heap)

/* It ends in a jump to another function, behind which the probe is. */
__asm__(".pushsection .text\n"
	".p2align 5\n"
	".type row_tail, @function\n"
	"row_tail: .cfi_startproc\n"
	"	push %rbp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	mov %rsp, %rbp\n"
	"	pop %rbp\n"
	"	.cfi_def_cfa_offset 8\n"
	"	jmp row_end\n"
	"	.cfi_endproc\n"
	".size row_tail, .-row_tail\n"
	".popsection\n");
long row_tail(long, long, long, long);
ROW(end)

/* A USDT site, and the note that sys/sdt.h would write. */
// clang-format off
__asm__(".pushsection .text\n"
	".p2align 5\n"
	".type row_usdt, @function\n"
	"row_usdt: .cfi_startproc\n"
	"	lea (%rdi,%rsi), %rax\n"
	"991:	nop\n"
	"	lea 1(%rax,%rdx), %rax\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size row_usdt, .-row_usdt\n"
	".popsection\n"
	".pushsection .note.stapsdt, \"\", \"note\"\n"
	".balign 4\n"
	".4byte 8, 994f-992f, 3\n"
	".asciz \"stapsdt\"\n"
	"992: .8byte 991b, 0, 0\n"
	".asciz \"bench\"\n"
	".asciz \"usdt\"\n"
	".asciz \"-8@%rdi -8@%rsi -4@%edx\"\n"
	"994: .balign 4\n"
	".popsection\n");
// clang-format on
long row_usdt(long, long, long, long);

typedef long row_fn(long, long, long, long);
static const struct row {
	const char *name;
	row_fn *fn;
} rows[] = {
	{ "empty", row_empty },
	{ "args", row_args },
	{ "array", row_array },
	{ "plain", row_plain },
	{ "hash", row_hash },
	{ "return", row_return },
	{ "both", row_both },
	{ "tail", row_tail },
	{ "ring", row_ring },
	{ "perf", row_perf },
	{ "usdt", row_usdt },
	{ "array_lookup", row_array_lookup },
	{ "array_update", row_array_update },
	{ "hash_update", row_hash_update },
	{ "hash_lookup", row_hash_lookup },
	{ "hash_delete", row_hash_delete },
	{ "hash_new", row_hash_new },
	{ "lru_update", row_lru_update },
	{ "lru_lookup", row_lru_lookup },
	{ "cpu_array", row_cpu_array },
	{ "cpu_array_put", row_cpu_array_put },
	{ "cpu_hash_put", row_cpu_hash_put },
	{ "cpu_hash", row_cpu_hash },
	{ "read_known", row_read_known },
	{ "read_heap", row_read_heap },
};

struct job {
	row_fn *fn;
	long calls;
	double ns;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static char *heap;

static void calls_make(row_fn *fn, long calls)
{
	for (long i = 0; i < calls; i++)
		fn(i, 1, 2, (long)heap);
}

static long warming(const struct job *j)
{
	return j->calls / 20 + 10;
}

static void *measure(void *job)
{
	struct job *j = job;
	double start;

	calls_make(j->fn, warming(j));
	start = now();
	calls_make(j->fn, j->calls);
	j->ns = (now() - start) / (double)j->calls;
	return NULL;
}

static pthread_barrier_t together;

static void *measure_with_other(void *job)
{
	pthread_barrier_wait(&together);
	return measure(job);
}

/* The calls of both; the time that a call took either of them. */
static int measure_two(struct job *j)
{
	struct job other = *j;
	pthread_t thread[2];
	cpu_set_t all;
	int bad;

	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	pthread_barrier_init(&together, NULL, 2);
	bad = pthread_create(&thread[0], NULL, measure_with_other, j) ||
	      pthread_create(&thread[1], NULL, measure_with_other, &other) ||
	      pthread_join(thread[0], NULL) || pthread_join(thread[1], NULL);
	j->ns = (j->ns + other.ns) / 2;
	return bad;
}

static int measure_in_thread(struct job *j)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, measure, j) ||
	       pthread_join(thread, NULL);
}

static row_fn *row_find(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].name, name))
			return rows[i].fn;
	return NULL;
}

int main(void)
{
	char line[64], name[32], where[16];
	struct job j;
	int two;

	heap = strcpy(malloc(64), "heap");
	while (fgets(line, sizeof(line), stdin)) {
		int n = sscanf(line, "%31s %ld %15s", name, &j.calls, where);

		j.fn = row_find(name);
		two = n == 3 && !strcmp(where, "two");
		if (n < 2 || !j.fn || (two && measure_two(&j)) ||
		    (n == 3 && !two && measure_in_thread(&j))) {
			fprintf(stderr, "target: cannot do: %s", line);
			return 2;
		}
		if (n == 2)
			measure(&j);
		printf("%.4f %ld\n", j.ns,
		       (1 + two) * (j.calls + warming(&j)));
		fflush(stdout);
	}
	return 0;
}
