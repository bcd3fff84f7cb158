/* SPDX-License-Identifier: MIT */
/* The walk along frame pointers, compiled for the host: where it ends, what is
 * left out, and the files that addresses are in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime-stub/fault.c"
#include "runtime-stub/buildid.c"
#include "runtime-stub/mappings.c"
#include "runtime-stub/walk.c"

#include <cmocka.h>

/* (Nothing is armed here.) */
bool env_converts(const char *const *envp)
{
	(void)envp;
	return false;
}
bool weld_libs_seen(void)
{
	return false;
}

enum {
	REGION = 1 << 12,
	ROOM = 160,
	PAD = 0x7777
};
uint8_t weld_region[REGION] __attribute__((aligned(4096)));
const struct weld_info weld_info = { .range = REGION };
static struct run run;

long own_pid(void) /* no way that needs it is taken */
{
	return 0;
}

/* PAD stands for a pad, which leads to PAD + 1. */
__attribute__((target("general-regs-only"))) uint64_t weld_origin(uint64_t ret)
{
	return ret + (ret == PAD);
}

static uint64_t buf[ROOM];

static long get(const struct hit *hit, uint32_t size, uint64_t flags)
{
	memset(buf, 0x5a, sizeof(buf));
	return (long)helper_get_stack((uint64_t)hit, (uint64_t)buf, size, flags,
				      0, &run);
}

static void is(long got, size_t n, const uint64_t *want, uint32_t size)
{
	assert_int_equal(got, n * 8);
	for (size_t i = 0; i < ROOM; i++)
		assert_int_equal(buf[i], i < n          ? want[i]
					 : i < size / 8 ? 0
							: 0x5a5a5a5a5a5a5a5a);
}
#define IS(got, size, ...)                                                     \
	is(got, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8,                       \
	   (uint64_t[]){ __VA_ARGS__ }, size)

static void the_chain(void **state)
{
	uint64_t stack[] = { 100, 0, 0, 101, 0, 102, 8, PAD };
	struct hit hit = { .ip = 99,
			   .sp = (uint64_t)stack,
			   .bp = (uint64_t)(stack + 2) };

	(void)state;
	stack[2] = (uint64_t)(stack + 4);
	stack[4] = (uint64_t)(stack + 6);
	IS(get(&hit, 80, BPF_F_USER_STACK), 80, 99, 101, 102, PAD + 1);
	hit.push_rbp = 1;
	IS(get(&hit, 80, BPF_F_USER_STACK), 80, 99, 100, 101, 102, PAD + 1);
	IS(get(&hit, 80, BPF_F_USER_STACK | 3), 80, 102, PAD + 1);
	IS(get(&hit, 16, BPF_F_USER_STACK | 1), 16, 100, 101);
	is(get(&hit, 16, BPF_F_USER_STACK | 5), 0, NULL, 16);
	is(get(&hit, 0, BPF_F_USER_STACK), 0, NULL, 0);
	is(get(&hit, 16, 0), 0, NULL, 16);
	hit.sp = 16;
	hit.bp += 1; /* need not be aligned, but what it leads to is nowhere */
	assert_int_equal(get(&hit, 80, BPF_F_USER_STACK), 16);
}

static void what_is_wrong(void **state)
{
	static const uint64_t wrong[][2] = {
		{ 12, BPF_F_USER_STACK },
		{ 16, BPF_F_USER_STACK | 1 << 20 },
		{ 16, BPF_F_USER_STACK | BPF_F_FAST_STACK_CMP },
		{ 32, BPF_F_USER_BUILD_ID },
		{ 40, BPF_F_USER_BUILD_ID | BPF_F_USER_STACK },
	};
	struct hit hit = { .ip = 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_int_equal(get(&hit, (uint32_t)wrong[i][0], wrong[i][1]),
				 -EINVAL);
		assert_int_equal(((uint8_t *)buf)[wrong[i][0] - 1], 0);
		assert_int_equal(((uint8_t *)buf)[wrong[i][0]], 0x5a);
	}
	assert_int_equal(get(&hit, 16, BPF_F_USER_STACK | 2), -EFAULT);
	assert_int_equal(get(&hit, 16, 1), -EFAULT);
	assert_int_equal(buf[1], 0);
}

/* Chains that bite their tail, and that lead where nothing can be read. */
static void where_it_ends(void **state)
{
	uint8_t *p = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *last = (uint64_t *)(p + 4096) - 2;
	struct hit hit = { .ip = 1, .bp = (uint64_t)last };
	static const uint64_t nowhere[] = {
		0, 4096, 1ull << 47, 1ull << 63, -1ull, -16ull, INT64_MAX - 7,
	};

	(void)state;
	mprotect(p + 4096, 4096, PROT_NONE);
	last[0] = (uint64_t)last;
	last[1] = 2;
	assert_int_equal(get(&hit, ROOM * 8, BPF_F_USER_STACK), MAX_STACK * 8);
	assert_int_equal(buf[MAX_STACK - 1], 2);
	assert_int_equal(get(&hit, 80, BPF_F_USER_STACK | 126), 8);
	assert_int_equal(get(&hit, 80, BPF_F_USER_STACK | 127), 0);
	assert_int_equal(get(&hit, 80, BPF_F_USER_STACK | 128), -EFAULT);
	last[0] += 8; /* the return address would be on the next page */
	IS(get(&hit, 80, BPF_F_USER_STACK), 80, 1, 2);
	for (size_t i = 0; i < sizeof(nowhere) / 8; i++) {
		last[0] = nowhere[i];
		IS(get(&hit, 80, BPF_F_USER_STACK), 80, 1, 2);
	}
	munmap(p, 2 * 4096);
}

/* Ours and the C library's are VALID, others are left as they are. */
static void the_files(void **state)
{
	struct bpf_stack_build_id id[8];
	uint64_t stack[2] = { 0, (uint64_t)&qsort };
	struct hit hit = { .ip = (uint64_t)&the_files, .bp = (uint64_t)stack };
	uint64_t flags = BPF_F_USER_STACK | BPF_F_USER_BUILD_ID, more[2];

	(void)state;
	more[0] = 0;
	more[1] = (uint64_t)more; /* in no file */
	stack[0] = (uint64_t)more;
	assert_int_equal(helper_get_stack((uint64_t)&hit, (uint64_t)id,
					  sizeof(id), flags, 0, &run),
			 96);
	assert_int_equal(id[0].status, BPF_STACK_BUILD_ID_VALID);
	assert_int_equal(id[0].offset % 4096, hit.ip % 4096);
	assert_int_equal(id[1].status, BPF_STACK_BUILD_ID_VALID);
	assert_int_equal(id[1].offset % 4096, stack[1] % 4096);
	assert_memory_not_equal(id[0].build_id, id[1].build_id, 20);
	assert_int_equal(id[2].status, BPF_STACK_BUILD_ID_IP);
	assert_int_equal(id[2].ip, more[1]);
	for (int i = 0; i < 20; i++)
		assert_int_equal(id[2].build_id[i], 0);
	assert_int_equal(id[3].status, BPF_STACK_BUILD_ID_EMPTY);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_chain),
		cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(where_it_ends),
		cmocka_unit_test(the_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
