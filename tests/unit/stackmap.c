/* SPDX-License-Identifier: MIT */
/* Call chains by number: the hash, and a map that processes fill, reuse and are
 * killed at, while somebody reads it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime-stub/fault.c"
#include "runtime-stub/hold.c"
#include "runtime-stub/reader/reader.h"
#include "runtime-stub/stackmap.c"
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
	REGION = 1 << 20,
	DEPTH = 16,
	BUCKETS = 8,
	DATA = 4096
};
uint8_t weld_region[REGION] __attribute__((aligned(4096)));
const struct weld_info weld_info = { .range = REGION };
static struct run run;

long own_pid(void) /* no way that needs it is taken */
{
	return 0;
}

/* As readers have it, which are others to us than we are. */
uint64_t own_writer(void)
{
	static uint64_t space;
	struct stat st;

	if (!space && !stat("/proc/self/ns/pid", &st))
		space = (uint64_t)st.st_ino << 32;
	return space | (uint32_t)getpid();
}

bool own_is_dead(uint64_t owner, uint64_t us)
{
	return owner >> 32 == us >> 32 && kill((pid_t)(uint32_t)owner, 0);
}

__attribute__((target("general-regs-only"))) uint64_t weld_origin(uint64_t ret)
{
	return ret;
}
void chain_build_ids(struct bpf_stack_build_id *at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		at[i].status = BPF_STACK_BUILD_ID_IP;
}


static struct region_map map = {
	.type = BPF_MAP_TYPE_STACK_TRACE,
	.key_size = 4,
	.value_size = DEPTH * 8,
	.max_entries = BUCKETS - 1,
	.buckets = BUCKETS,
	.data = DATA,
	.size = REGION - DATA,
};

static void empty(void)
{
	map.stride = hash_stride(map.type, 8, map.value_size, 0);
	memset(weld_region, 0, REGION);
}

static long id_of(const struct hit *hit, uint64_t flags)
{
	return (long)helper_get_stackid((uint64_t)hit, (uint64_t)&map, flags, 0,
					0, &run);
}

/* A chain that one can tell from its first address: so many, one more each. */
static uint32_t length_of(uint64_t first)
{
	return (uint32_t)(first % DEPTH) + 1;
}

struct made {
	struct hit hit;
	uint64_t frame[2 * DEPTH];
};
static void make(struct made *c, uint64_t first)
{
	uint32_t n = length_of(first) - 1;

	memset(c, 0, sizeof(*c));
	c->hit.ip = first;
	c->hit.bp = n ? (uint64_t)c->frame : 0;
	for (uint32_t i = 0; i < n; i++) {
		c->frame[2 * i] =
			i + 1 < n ? (uint64_t)&c->frame[2 * i + 2] : 0;
		c->frame[2 * i + 1] = first + i + 1;
	}
}

static struct reader r = { .path = "region",
			   .base = weld_region,
			   .map = &map,
			   .writes = true };

static struct reader_elem *dump(struct arena *a, size_t *n)
{
	struct reader_elem *elem;
	struct err e;

	if (reader_elems(a, &r, 0, &elem, n, &e))
		abort();
	return elem;
}

/* What is in the map is whole, and where it belongs. */
static size_t check(void)
{
	struct arena a = { 0 };
	size_t n;
	struct reader_elem *elem = dump(&a, &n);

	for (size_t i = 0; i < n; i++) {
		const uint64_t *ip = (const void *)elem[i].value;
		uint32_t id, len = length_of(ip[0]);

		memcpy(&id, elem[i].key, 4);
		assert_int_equal(jhash_words(ip, 1, len) % BUCKETS, id);
		for (uint32_t k = 0; k < DEPTH; k++)
			assert_int_equal(ip[k], k < len ? ip[0] + k : 0);
	}
	arena_free(&a);
	return n;
}

/* By another implementation of lookup3's hashword(). */
static void hashes(void **state)
{
	static const uint32_t want[] = { 0xdeadbeef, 0x123116fe, 0xb2b6df2e,
					 0xf75ee9c4, 0x6b75db6b };
	uint64_t v[2 * 5] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 5; i++)
		v[2 * i] = 0x123456789abcdef0 + i * 0x1111111111111111;
	for (uint32_t n = 0; n < 5; n++)
		assert_int_equal(jhash_words(v, 2, n), want[n]);
}

static void numbers(void **state)
{
	uint64_t user = BPF_F_USER_STACK, seen = 0;
	struct made c, d;
	long id;

	(void)state;
	empty();
	make(&c, 1000);
	id = id_of(&c.hit, user);
	assert_in_range(id, 0, BUCKETS - 1);
	assert_int_equal(id_of(&c.hit, user), id);
	assert_int_equal(check(), 1);
	for (seen = 1001;; seen++) { /* one that wants the same place */
		make(&d, seen);
		if (id_of(&d.hit, user) == -EEXIST)
			break;
	}
	assert_int_equal(id_of(&d.hit, user | BPF_F_FAST_STACK_CMP), -EEXIST);
	id = id_of(&d.hit, user | BPF_F_REUSE_STACKID);
	assert_true(id >= 0);
	assert_int_equal(id_of(&d.hit, user), id);
	check();
	assert_int_equal(id_of(&c.hit, 0), -EFAULT);
	assert_int_equal(id_of(&c.hit, user | 16), -EFAULT);
	assert_int_equal(id_of(&c.hit, user | 1 << 20), -EINVAL);
	for (uint64_t i = 2000; i < 4000; i++) {
		make(&c, i);
		id = id_of(&c.hit, user);
	}
	assert_int_equal(check(), BUCKETS - 1);
	assert_int_equal(id_of(&c.hit, user | BPF_F_REUSE_STACKID), -ENOMEM);
	map.type = BPF_MAP_TYPE_HASH;
	assert_int_equal(id_of(&c.hit, user), -EINVAL);
	map.type = BPF_MAP_TYPE_STACK_TRACE;
}

static _Noreturn void writer(uint64_t seed)
{
	struct made c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		make(&c, 1000 + (seed >> 40) % 500);
		if (id_of(&c.hit, BPF_F_USER_STACK | BPF_F_REUSE_STACKID) ==
		    -EBUSY)
			abort();
	}
}

/* Eight processes are killed anywhere, one after the other; two are enough at a
 * time. */
static void killed(void **state)
{
	pid_t pid[2];
	struct made c;
	int status;
	long id = -ENOMEM;

	(void)state;
	map.max_entries = 2 * BUCKETS; /* (of other chains) */
	empty();
	assert_ptr_equal(mmap(weld_region, REGION, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 weld_region);
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 2; i++) {
			pid[i] = fork();
			if (!pid[i])
				writer((uint64_t)(2 * round + i));
		}
		for (int i = 0; i < 20000; i++)
			check();
		for (int i = 0; i < 2; i++) {
			kill(pid[i], SIGKILL);
			waitpid(pid[i], &status, 0);
			assert_true(WIFSIGNALED(status) &&
				    WTERMSIG(status) == SIGKILL);
		}
	}
	make(&c, 77);
	id = id_of(&c.hit, BPF_F_USER_STACK | BPF_F_REUSE_STACKID);
	assert_in_range(id, 0, BUCKETS - 1);
	assert_int_equal(check(), BUCKETS);
	map.max_entries = BUCKETS - 1;
}

/* Any number of processes may die with an element in hand. */
static void in_hand(void **state)
{
	struct table t = table_in(&map, 0);
	struct hash_holder *h;
	struct made c;
	int status;
	pid_t pid;

	(void)state;
	empty(); /* (what killed() has shared) */
	for (uint32_t i = 0; i < 2 * (map.max_entries + HASH_SPARE); i++) {
		pid = fork();
		if (!pid) {
			h = hold_claim(&t);
			_exit(!h || !hold_spare(&t, h) || !hold_take(&t, h));
		}
		waitpid(pid, &status, 0);
		assert_int_equal(status, 0);
	}
	make(&c, 77);
	assert_in_range(id_of(&c.hit, BPF_F_USER_STACK), 0, BUCKETS - 1);
	assert_int_equal(check(), 1);
}

/* --- Chains that somebody outside takes out. */

static void fill_all(void)
{
	struct made c;

	for (uint64_t i = 1000; i < 2000; i++) {
		make(&c, i);
		id_of(&c.hit, BPF_F_USER_STACK);
	}
	assert_int_equal(check(), map.max_entries);
}

static void clear_all(void)
{
	for (uint32_t id = 0; id < BUCKETS; id++)
		assert_in_range(-reader_delete(&r, 0, &id), 0, ENOENT);
	assert_int_equal(check(), 0);
}

static void deleted(void **state)
{
	uint32_t key, none = BUCKETS;
	struct made c, d;
	long id;

	(void)state;
	empty();
	make(&c, 1000);
	id = id_of(&c.hit, BPF_F_USER_STACK);
	key = (uint32_t)id;
	assert_int_equal(reader_delete(&r, 0, &none), -E2BIG);
	assert_int_equal(reader_delete(&r, 0, &key), 0);
	assert_int_equal(reader_delete(&r, 0, &key), -ENOENT);
	assert_int_equal(check(), 0);
	for (uint64_t i = 1001;; i++) { /* another one may have its number */
		make(&d, i);
		if (id_of(&d.hit, BPF_F_USER_STACK) == id)
			break;
	}
	assert_int_equal(id_of(&c.hit, BPF_F_USER_STACK), -EEXIST);
	for (int i = 0; i < 100; i++) {
		clear_all();
		fill_all();
	}
	r.writes = false;
	assert_int_equal(reader_delete(&r, 0, &key), -EPERM);
	r.writes = true;
}

/* Do nothing else, until a timer kills us anywhere. */
static _Noreturn void deleter(long ns)
{
	struct sigevent kill = { .sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = SIGKILL };
	struct itimerspec once = { .it_value.tv_nsec = ns };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &kill, &timer) ||
	    timer_settime(timer, 0, &once, NULL))
		_exit(1);
	for (uint32_t id = 0;; id++) {
		uint32_t key = id % BUCKETS;

		reader_delete(&r, 0, &key);
	}
}

/* Deleters are killed while another process fills the map. */
static void killed_deleting(void **state)
{
	int status;
	pid_t writes, pid;

	(void)state;
	empty();
	writes = fork();
	if (!writes)
		writer(1);
	for (long i = 0; i < 500; i++) {
		pid = fork();
		if (!pid)
			deleter(100000 + i * 100);
		check();
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	kill(writes, SIGKILL);
	waitpid(writes, &status, 0);
	clear_all();
	fill_all();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test(numbers),
		cmocka_unit_test(killed),
		cmocka_unit_test(in_hand),
		cmocka_unit_test(deleted),
		cmocka_unit_test(killed_deleting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
