/* SPDX-License-Identifier: MIT */
/* The stub's helpers, compiled for the host: results as the kernel's. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime-stub/clock.c"
#include "runtime-stub/fault.c"
#include "runtime-stub/format.c"
#include "runtime-stub/map.c"
#include "runtime-stub/process.c"
#include "runtime-stub/read.c"
#include "runtime-stub/task.c"
#include "runtime-stub/trace.c"

#include <cmocka.h>

bool region_is_private(void)
{
	return false;
}

bool region_wait_scarce(long ret, int *tries)
{
	(void)ret;
	(void)tries;
	return false;
}

bool weld_libs_seen(void)
{
	return true;
}

enum { REGION = 1 << 16, TRACE = 4096, SLOTS = 4 };
uint8_t weld_region[REGION] __attribute__((aligned(4096)));
uint64_t weld_own[512] __attribute__((aligned(4096)));
const struct weld_info weld_info = {
	.range = REGION,
	.trace = TRACE,
	.trace_size = sizeof(struct region_trace) +
		      SLOTS * sizeof(struct region_trace_record),
};

static struct run run;

long vdso_call(uint64_t func, int clock, void *ts)
{
	return ((int (*)(int, void *))func)(clock, ts);
}

#define CALL3(name, a, b, c)                                                   \
	((int64_t)helper_##name((uint64_t)(a), (uint64_t)(b), (uint64_t)(c),   \
				0, 0, &run))

/* The first thing that tests of memory do: *state says which of fault.c's ways
 * it is.  (cmocka has set its own handlers just before, and restores them.) */
static uint32_t each_way[] = { 0, FAULT_COPY, FAULT_CATCH };

static void begin(void **state)
{
	run.fault = RUN_UNKNOWN;
	ways = *(uint32_t *)*state;
	if (ways & FAULT_CATCH)
		assert_true(install(SEGV) && install(BUS));
}

static int ended(void **state)
{
	uint32_t way = *(uint32_t *)*state;
	uint64_t was = run.fault;

	ways = 0;
	run.fault = RUN_UNKNOWN;
	return was != (way & FAULT_CATCH ? RUN_CAUGHT : RUN_ASKED);
}

/* Two pages, of which the second cannot be read.  Returns the boundary. */
static uint8_t *edge(void)
{
	uint8_t *p = mmap(NULL, 2 * FAULT_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p + FAULT_PAGE, FAULT_PAGE, PROT_NONE), 0);
	return p + FAULT_PAGE;
}

#define KERNEL_ADDRESS UINT64_C(0xffffffff81000000)
#define NOT_CANONICAL UINT64_C(0x8000000000001000)
#define LOWEST_GAP UINT64_C(0x800000000000) /* behind the user's half */

static void reading_is_safe(void **state)
{
	uint8_t *end = edge(), zero[16] = { 0 }, to[16];
	uint8_t *heap = malloc(8);

	begin(state);
	memset(end - 16, 0x5a, 16);
	memset(heap, 1, 8);
	for (uint64_t n = 0; n <= 16; n++) {
		memset(to, 0xff, sizeof(to));
		assert_int_equal(CALL3(probe_read_user, to, n, end - n), 0);
		assert_memory_equal(to, end - n, n);
		if (n == 0)
			continue;
		assert_int_equal(CALL3(probe_read, to, n, end - n + 1),
				 -EFAULT);
		assert_memory_equal(to, zero, n);
		if (n < 16)
			assert_int_equal(to[n], 0xff);
	}
	assert_int_equal(CALL3(probe_read, to, 8, NULL), -EFAULT);
	assert_int_equal(CALL3(probe_read, to, 8, KERNEL_ADDRESS), -EFAULT);
	assert_int_equal(CALL3(probe_read, to, 8, NOT_CANONICAL), -ERANGE);
	assert_int_equal(CALL3(probe_read, to, 8, LOWEST_GAP), -ERANGE);
	assert_int_equal(CALL3(probe_read_user, to, 8, NOT_CANONICAL), -EFAULT);
	assert_int_equal(CALL3(probe_read_user, to, 8, LOWEST_GAP), -EFAULT);
	assert_int_equal(CALL3(probe_read_user, to, 8, UINT64_MAX - 3),
			 -EFAULT);
	assert_int_equal(CALL3(probe_read_user, to, 8, INT64_MAX - 3), -EFAULT);
	memset(to, 0xff, sizeof(to));
	assert_int_equal(CALL3(probe_read_kernel, to, 8, heap), -ERANGE);
	assert_memory_equal(to, zero, 8);
	assert_int_equal(CALL3(probe_read_kernel, to, 8, KERNEL_ADDRESS),
			 -EFAULT);
	assert_int_equal(CALL3(probe_read_kernel, to, 8, NOT_CANONICAL),
			 -ERANGE);
	weld_region[100] = 9;
	assert_int_equal(CALL3(probe_read_kernel, to, 8, weld_region + 100), 0);
	assert_int_equal(to[0], 9);
	assert_int_equal(CALL3(probe_read_kernel, to, 8, zero), 0);
	free(heap);
	munmap(end - FAULT_PAGE, 2 * FAULT_PAGE);
}

/* Bytes in front of what cannot be written are written, as by the kernel. */
static void writing_is_safe(void **state)
{
	char *two = mmap(NULL, 2 * FAULT_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const char text[] = "0123456", frozen[8] = "frozen";
	char *end = two + FAULT_PAGE;

	begin(state);
	assert_int_equal(mprotect(end, FAULT_PAGE, PROT_READ), 0);
	assert_int_equal(CALL3(probe_write_user, two, text, 8), 0);
	assert_memory_equal(two, text, 8);
	assert_int_equal(CALL3(probe_write_user, end - 8, text, 8), 0);
	assert_memory_equal(end - 8, text, 8);
	assert_int_equal(CALL3(probe_write_user, end - 3, text, 8), -EFAULT);
	assert_memory_equal(end - 3, text, 3);
	assert_int_equal(end[0], 0);
	assert_int_equal(CALL3(probe_write_user, end, text, 1), -EFAULT);
	assert_int_equal(CALL3(probe_write_user, frozen, text, 8), -EFAULT);
	assert_string_equal(frozen, "frozen");
	assert_int_equal(CALL3(probe_write_user, NULL, text, 8), -EFAULT);
	assert_int_equal(CALL3(probe_write_user, KERNEL_ADDRESS, text, 8),
			 -EFAULT);
	assert_int_equal(CALL3(probe_write_user, NOT_CANONICAL, text, 8),
			 -EFAULT);
	munmap(two, 2 * FAULT_PAGE);
}

/* What strncpy_from_user() leaves: whole words up to the NUL, then nothing. */
static void strings_end_as_in_the_kernel(void **state)
{
	static const struct {
		const char *s;
		uint32_t size;
		int64_t ret;
		const char *left; /* 16 bytes; '.' is 0, '#' untouched */
	} t[] = {
		{ "abc", 16, 4, "abc.....########" },
		{ "abc", 8, 4, "abc.....########" },
		{ "abc", 6, 4, "abc.############" },
		{ "abc", 4, 4, "abc.############" },
		{ "abc", 3, 3, "ab.#############" },
		{ "abc", 1, 1, ".###############" },
		{ "abc", 0, 0, "################" },
		{ "", 16, 1, "........########" },
		{ "abcdefgh", 16, 9, "abcdefgh........" },
		{ "abcdefgh", 12, 9, "abcdefgh.#######" },
		{ "abcdefgh", 8, 8, "abcdefg.########" },
		{ "abcdefghij", 16, 11, "abcdefghij......" },
		{ "abcdefghij", 10, 10, "abcdefghi.######" },
	};
	uint8_t *end = edge();

	begin(state);
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		uint8_t to[16], *from = end - 24;

		memset(from, 'x', 24);
		strcpy((char *)from, t[i].s);
		memset(to, '#', 16);
		assert_int_equal(
			CALL3(probe_read_user_str, to, t[i].size, from),
			t[i].ret);
		for (int k = 0; k < 16; k++)
			assert_int_equal(to[k], t[i].left[k] == '.'
							? 0
							: t[i].left[k]);
	}
	munmap(end - FAULT_PAGE, 2 * FAULT_PAGE);
}

static void strings_at_the_edge(void **state)
{
	uint8_t *end = edge(), to[16], zero[16] = { 0 };

	begin(state);
	memcpy(end - 4, "abc", 4);
	memset(to, '#', 16);
	assert_int_equal(CALL3(probe_read_user_str, to, 16, end - 4), 4);
	assert_memory_equal(to, "abc\0####", 8);
	end[-1] = 'd';
	assert_int_equal(CALL3(probe_read_user_str, to, 16, end - 4), -EFAULT);
	assert_memory_equal(to, zero, 16);
	assert_int_equal(CALL3(probe_read_str, to, 4, end - 4), 4);
	assert_memory_equal(to, "abc", 4);
	memset(to, '#', 16);
	assert_int_equal(CALL3(probe_read_kernel_str, to, 16, end - 4),
			 -ERANGE);
	assert_memory_equal(to, zero, 16);
	memset(to, '#', 16);
	strcpy((char *)weld_region, "map");
	assert_int_equal(CALL3(probe_read_kernel_str, to, 16, weld_region), 4);
	assert_memory_equal(to, "map\0####", 8);
	assert_int_equal(CALL3(probe_read_kernel_str, to, 2, weld_region), 2);
	assert_memory_equal(to, "m\0p", 3);
	memset(to, '#', 16);
	assert_int_equal(CALL3(probe_read_str, to, 16, weld_region), 4);
	assert_memory_equal(to, "map\0####", 8);
	munmap(end - FAULT_PAGE, 2 * FAULT_PAGE);
}

static void arrays_answer_as_the_kernels(void **state)
{
	struct region_map m = { .type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
				.value_size = 8, .max_entries = 2,
				.stride = 8, .data = 512 };
	uint32_t k = 1, out = 2;
	uint64_t v = 5, map = (uint64_t)&m, *got;

	(void)state;
#define UPDATE(k, flags)                                                       \
	((int64_t)helper_map_update_elem(map, (uint64_t)&k, (uint64_t)&v,      \
					 flags, 0, NULL))
	assert_int_equal(UPDATE(k, BPF_ANY), 0);
	got = (void *)helper_map_lookup_elem(map, (uint64_t)&k, 0, 0, 0, NULL);
	assert_ptr_equal(got, weld_region + 520);
	assert_int_equal(*got, 5);
	assert_int_equal(UPDATE(k, BPF_EXIST), 0);
	assert_int_equal(UPDATE(k, BPF_NOEXIST), -EEXIST);
	assert_int_equal(UPDATE(out, BPF_NOEXIST), -E2BIG);
	assert_int_equal(UPDATE(out, BPF_ANY), -E2BIG);
	assert_int_equal(UPDATE(k, 3), -EINVAL);
	assert_int_equal(UPDATE(k, BPF_F_LOCK), -EINVAL);
	assert_int_equal(UPDATE(out, BPF_F_LOCK), -E2BIG);
	assert_int_equal(UPDATE(k, BPF_F_LOCK | BPF_NOEXIST), -EEXIST);
	assert_int_equal(UPDATE(out, BPF_F_LOCK | 3), -EINVAL);
	assert_int_equal(UPDATE(k, 3), -EINVAL);
	assert_int_equal(helper_map_lookup_elem(map, (uint64_t)&out, 0, 0, 0, NULL),
			 0);
	assert_int_equal(CALL3(map_delete_elem, map, &k, 0), -EINVAL);
	m.flags = BPF_F_RDONLY_PROG;
	assert_int_equal(UPDATE(k, BPF_ANY), -EPERM);
#undef UPDATE
}

/* A field of the task that `of` points to. */
#define FIELD_OF(of, name)                                                     \
	((of) + TASK_FIELDS + offsetof(struct task, name))
#define READ(v, from) CALL3(probe_read_kernel, &(v), sizeof(v), from)

/* Of others than ourselves /proc tells; what is no field is a fault. */
static void tasks_of_others(void **state)
{
	uint64_t us = (uint64_t)CALL3(get_current_task, 0, 0, 0), parent;
	uint64_t nobody = us | UINT64_C(0x3fffff) << TASK_SHIFT, start, v;
	char comm[16], expected[17] = { 0 }, path[32];
	uint32_t pid;
	FILE *f;

	(void)state;
	assert_int_equal(us, CALL3(get_current_task_btf, 0, 0, 0));
	assert_int_equal(READ(parent, FIELD_OF(us, real_parent)), 0);
	assert_int_equal(READ(pid, FIELD_OF(parent, tgid)), 0);
	assert_int_equal(pid, getppid());
	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	f = fopen(path, "r");
	assert_true(fgets(expected, sizeof(expected), f) != NULL);
	fclose(f);
	expected[strcspn(expected, "\n")] = 0;
	assert_int_equal(READ(comm, FIELD_OF(parent, comm)), 0);
	assert_string_equal(comm, expected);
	assert_int_equal(READ(start, FIELD_OF(us, start_time)), 0);
	assert_int_equal(READ(v, FIELD_OF(parent, start_time)), 0);
	assert_true(v <= start);
	assert_int_equal(READ(v, FIELD_OF(parent, real_parent)), 0);

	assert_int_equal(READ(v, us), -EFAULT);
	assert_int_equal(v, 0);
	assert_int_equal(READ(v, FIELD_OF(us, pid)), -EFAULT);
	assert_int_equal(READ(v, FIELD_OF(us, comm) + 9), -EFAULT);
	assert_int_equal(READ(v, FIELD_OF(us, start_boottime) + 8), -EFAULT);
	assert_int_equal(READ(comm, FIELD_OF(nobody, comm)), -EFAULT);
	assert_int_equal(READ(v, FIELD_OF(nobody, start_time)), -EFAULT);
	assert_int_equal(READ(v, FIELD_OF(nobody, real_parent)), -EFAULT);
	assert_int_equal(CALL3(probe_read_user, &v, 8, FIELD_OF(us, comm)),
			 -EFAULT);
	assert_int_equal(task_load(FIELD_OF(us, pid), 4), getpid());
	assert_int_equal(task_load(us, 4), 0);
	/* Whose address is none, or a field of none. */
	assert_int_equal(task_load((uint64_t)&start, 8), 0);
	assert_int_equal(task_load(FIELD_OF(0, pid), 4), 0);
	assert_int_equal(task_load(0, 8), 0);
}

static void who_and_when(void **state)
{
	struct hit hit = { .cookie = 3, .func_ip = 4 };
	char comm[24], old[16] = { 0 };
	struct timespec ts;
	uint64_t ns;

	(void)state;
	assert_int_equal(CALL3(get_current_pid_tgid, 0, 0, 0),
			 (int64_t)getpid() << 32 | syscall(SYS_gettid));
	assert_int_equal(CALL3(get_current_uid_gid, 0, 0, 0),
			 (int64_t)getgid() << 32 | getuid());
	assert_int_equal(CALL3(get_func_ip, &hit, 0, 0), 4);
	assert_int_equal(CALL3(get_attach_cookie, &hit, 0, 0), 3);
	for (int clock = 0; clock < 2; clock++) {
		clock_gettime(clock ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &ts);
		ns = (uint64_t)(clock ? CALL3(ktime_get_boot_ns, 0, 0, 0)
				      : CALL3(ktime_get_ns, 0, 0, 0));
		assert_in_range(ns - (uint64_t)ts.tv_sec * 1000000000 -
					(uint64_t)ts.tv_nsec,
				0, 1000000000);
	}
	assert_true(clock_function > NO_VDSO);
	prctl(PR_GET_NAME, old);
	prctl(PR_SET_NAME, "fifteen-letters");
	memset(comm, '#', sizeof(comm));
	assert_int_equal(CALL3(get_current_comm, comm, 20, 0), 0);
	assert_memory_equal(comm, "fifteen-letters\0\0\0\0\0##", 22);
	assert_int_equal(CALL3(get_current_comm, comm, 5, 0), 0);
	assert_memory_equal(comm, "fift\0en", 7);
	prctl(PR_SET_NAME, old);
}

static void the_cpu_is_this_one(void **state)
{
	cpu_set_t old, one;

	(void)state;
	sched_getaffinity(0, sizeof(old), &old);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &old))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		assert_int_equal(CALL3(get_smp_processor_id, 0, 0, 0), cpu);
	}
	sched_setaffinity(0, sizeof(old), &old);
}

static void printing(void **state)
{
	static const char name[8] = "name"; /* is read by words */
	static const struct {
		const char *fmt;
		uint64_t arg[3];
		const char *text; /* NULL: -EINVAL */
	} t[] = {
		{ "plain", { 0 }, "plain" },
		{ "%d %u %x", { -1ull, -1ull, 0xabcdef12345 },
		  "-1 4294967295 def12345" },
		{ "%ld %lu %lx", { -5ull, 5, -1ull }, "-5 5 ffffffffffffffff" },
		{ "%lld %llu %llX", { 1ull << 63, 7, 0xab },
		  "-9223372036854775808 7 AB" },
		{ "%i|%5d|%-5d|", { 1, 2, 3 }, "1|    2|3    |" },
		{ "%05d %08x %+d", { -42ull, 0xbeef, 7 }, "-0042 0000beef +7" },
		{ "% d %c%%", { 7, 'x' }, " 7 x%" },
		{ "%p %px", { 0x1234, 0xffff888000000000 },
		  "0000000000001234 ffff888000000000" },
		{ "<%s> <%8s> <%-6s>",
		  { (uint64_t)name, (uint64_t)name, (uint64_t)name },
		  "<name> <    name> <name  >" },
		{ "%s!", { 16 }, "!" },
		{ "%pus|%6pus|%pks", { (uint64_t)name, (uint64_t)name, 16 },
		  "name|name|" },
		{ "%pS %20pB %pI4", { 0x1234, 0x5678, 16 },
		  "0x1234 0x5678 0.0.0.0" },
		{ "%pusx", { (uint64_t)name }, NULL },
		{ "line\n\t%d", { 1 }, "line\n\t1" },
		{ "%d %d %d %d", { 0 }, NULL },
		{ "%f", { 0 }, NULL },
		{ "%hd", { 0 }, NULL },
		{ "%lc", { 0 }, NULL },
		{ "%sx", { 0 }, NULL },
		{ "%pZ", { 0 }, NULL },
		{ "%", { 0 }, NULL },
		{ "%#x", { 0 }, NULL },
		{ "caf\xc3\xa9 %d", { 1 }, "caf\xc3\xa9 1" },
		{ "%\xc3\xa9", { 0 }, NULL },
		{ "%p\xc3\xa9", { 0 }, NULL },
		{ "bell\a", { 0 }, NULL },
	};
	struct region_trace *ring = (void *)(weld_region + TRACE);
	uint64_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct region_trace_record *r = &ring->record[n % SLOTS];
		int64_t ret = (int64_t)helper_trace_printk(
			(uint64_t)t[i].fmt, strlen(t[i].fmt) + 1, t[i].arg[0],
			t[i].arg[1], t[i].arg[2], &run);

		if (!t[i].text) {
			assert_int_equal(ret, -EINVAL);
			continue;
		}
		n++;
		assert_int_equal(ring->next, n);
		assert_int_equal(r->seq, n);
		assert_int_equal(ret, strlen(t[i].text));
		assert_int_equal(r->len, ret);
		assert_memory_equal(r->text, t[i].text, r->len);
		assert_int_equal(r->tgid, getpid());
		assert_true(r->ns > 0);
	}
	/* The NUL must be inside the size given. */
	assert_int_equal((int64_t)helper_trace_printk((uint64_t) "abc", 3, 0, 0,
						      0, &run),
			 -EINVAL);
	/* Longer than a record: the whole length is returned. */
	assert_int_equal(helper_trace_printk((uint64_t) "%300d", 6, 1, 0, 0, &run),
			 300);
	assert_int_equal(ring->record[n % SLOTS].len, TRACE_TEXT);
}

static void random_numbers_differ(void **state)
{
	uint64_t a = (uint64_t)CALL3(get_prandom_u32, 0, 0, 0), all = a;

	(void)state;
	for (int i = 0; i < 64; i++)
		all |= a ^ (uint64_t)CALL3(get_prandom_u32, 0, 0, 0);
	assert_int_equal(all | a, UINT32_MAX);
}

static void environment_and_vector(void **state)
{
	const char *env[] = { "A=b", "BPFWELD_REGIONS=no", "BPFWELD_REGION=x",
			      NULL };
	uint64_t aux[] = { AT_SYSINFO_EHDR, 0x7000, AT_SECURE, 0, 77, 1,
			   AT_NULL,	    0 };
	struct aux a;

	(void)state;
	assert_string_equal(env_want(env), "x");
	env[2] = NULL;
	assert_null(env_want(env));
	a = aux_read(aux, aux + 8);
	assert_int_equal(a.vdso, 0x7000);
	assert_false(a.secure);
	assert_true(aux_read(aux, aux + 2).secure); /* unknown is distrusted */
	aux[3] = 1;
	assert_true(aux_read(aux, aux + 8).secure);
	a = aux_find();
	assert_int_not_equal(a.vdso, 0);
	assert_false(a.secure);
}

/* All lengths, from all offsets in a word, and over a page's end. */
static void longer_reads(void **state)
{
	uint8_t *end = edge(), to[300];

	begin(state);
	for (int i = 0; i < 300; i++)
		end[i - 300] = (uint8_t)(i * 7 + i / 256);
	for (uint64_t off = 200; off < 300; off++)
		for (uint64_t n = 0; n < 300; n++) {
			memset(to, 0xff, sizeof(to));
			if (n > off) {
				assert_int_equal(CALL3(probe_read_user, to, n,
						       end - off),
						 -EFAULT);
				for (uint64_t i = 0; i < n; i++)
					assert_int_equal(to[i], 0);
			} else {
				assert_int_equal(CALL3(probe_read_user, to, n,
						       end - off),
						 0);
				assert_memory_equal(to, end - off, n);
			}
			assert_true(n == 300 || to[n] == 0xff);
		}
	munmap(end - FAULT_PAGE, 2 * FAULT_PAGE);
}

#define EACH_WAY(f)                                                            \
	cmocka_unit_test_prestate_setup_teardown(f, NULL, ended, &each_way[0]), \
		cmocka_unit_test_prestate_setup_teardown(f, NULL, ended,       \
							 &each_way[1]),        \
		cmocka_unit_test_prestate_setup_teardown(f, NULL, ended,       \
							 &each_way[2])

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_WAY(reading_is_safe),
		EACH_WAY(writing_is_safe),
		EACH_WAY(strings_end_as_in_the_kernel),
		EACH_WAY(strings_at_the_edge),
		EACH_WAY(longer_reads),
		cmocka_unit_test(arrays_answer_as_the_kernels),
		cmocka_unit_test(tasks_of_others),
		cmocka_unit_test(who_and_when),
		cmocka_unit_test(the_cpu_is_this_one),
		cmocka_unit_test(printing),
		cmocka_unit_test(random_numbers_differ),
		cmocka_unit_test(environment_and_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
