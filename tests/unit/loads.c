/* SPDX-License-Identifier: MIT */
/* Where this process has mapped code, as the stub tells and the reader reads
 * it; and what the reader makes of a table that somebody has written over. */
#include <search.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime-stub/fault.c"
#include "runtime-stub/loads.c"
#include "runtime-stub/mappings.c"
#include "runtime-stub/reader/reader.h"

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
	AT = 4096,
	REGION = AT + sizeof(struct region_loads)
};
uint8_t weld_region[REGION] __attribute__((aligned(4096)));
const struct weld_info weld_info = { .range = REGION, .loads = AT };

long own_pid(void) /* no way that needs it is taken */
{
	return 0;
}

static struct region_loads *loads(void)
{
	return (struct region_loads *)(weld_region + AT);
}

static const struct reader_load *find(const struct reader_load *v, size_t n,
				      const void *addr)
{
	for (size_t i = 0; i < n; i++)
		if ((uint64_t)addr >= v[i].start && (uint64_t)addr < v[i].end)
			return &v[i];
	return NULL;
}

static void told_and_read(void **state)
{
	struct reader r = { .base = weld_region,
			    .head = { .size = REGION, .loads = AT } };
	char exe[256] = { 0 };
	struct arena a = { 0 };
	const struct reader_load *l;
	struct reader_load *v;
	size_t n;

	(void)state;
	assert_int_equal(reader_loads(&a, &r, &v), 0);
	weld_loads();
	n = reader_loads(&a, &r, &v);
	assert_int_equal(reader_loads_told(&r), n);
	l = find(v, n, told_and_read);
	assert_non_null(l);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_string_equal(l->path, exe);
	assert_non_null(l->build_id);
	l = find(v, n, lfind); /* no sanitizer has its own */
	assert_non_null(l);
	assert_non_null(strstr(l->path, "libc"));
	assert_false(l->is_weld);
	assert_null(find(v, n, weld_region)); /* not code */
	weld_loads();
	assert_int_equal(reader_loads(&a, &r, &v), n);
	arena_free(&a);
}

static void full(void **state)
{
	uint64_t files = loads()->nfile;

	(void)state;
	loads()->nload = LOADS;
	weld_loads();
	assert_int_equal(loads()->nload, LOADS);
	loads()->nload = UINT64_MAX;
	loads()->nfile = UINT64_MAX;
	weld_loads();
	assert_int_equal(loads()->nload, UINT64_MAX);
	loads()->nfile = files;
}

static void damaged(void **state)
{
	struct reader r = { .base = weld_region,
			    .head = { .size = REGION, .loads = AT } };
	struct arena a = { 0 };
	struct reader_load *v;
	size_t n;

	(void)state;
	memset(weld_region + AT, 0xff, sizeof(struct region_loads));
	assert_int_equal(reader_loads(&a, &r, &v), 0);
	loads()->load[7].file = LOAD_FILES;
	n = reader_loads(&a, &r, &v);
	assert_int_equal(n, 1);
	assert_int_equal(strlen(v[0].path), LOAD_PATH - 1);
	loads()->load[8].file = LOAD_FILES + 1;
	assert_int_equal(reader_loads(&a, &r, &v), 1);
	r.head.size--;
	assert_int_equal(reader_loads(&a, &r, &v), 0);
	r.head.size++;
	r.head.loads = AT + 8;
	assert_int_equal(reader_loads(&a, &r, &v), 0);
	r.head.loads = 0;
	assert_int_equal(reader_loads(&a, &r, &v), 0);
	arena_free(&a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_and_read),
		cmocka_unit_test(full),
		cmocka_unit_test(damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
