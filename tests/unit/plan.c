/* SPDX-License-Identifier: MIT */
/* plan.c - which tactic each place gets, how much it replaces, and what a
 * refusal says.  The places are in plan.S, this program being the image.
 */
// clang-format off
#include "rewriter/patch/patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
// clang-format on

struct spot_at {
	uint64_t fn, site, end;
	const char *name, *want;
	uint64_t len;
};
extern const struct spot_at places[], places_end[];
extern const uint64_t place_ptrs[], place_ptrs_end[];
extern const uint8_t place_text[], place_text_end[];

static struct arena arena;
static struct image img;
static struct sites sites;
static struct segment seg;

static size_t place_count(void)
{
	return (size_t)(places_end - places);
}

static const struct spot_at *place(const char *name)
{
	for (const struct spot_at *p = places; p < places_end; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	fail_msg("no place %s", name);
	return NULL;
}

/* The image is places[first .. first+n). */
static void image_of(size_t first, size_t n)
{
	uint64_t lo = places[first].fn;
	uint64_t hi = first + n < place_count() ? places[first + n].fn
						: (uint64_t)place_text_end;
	struct err e;

	seg = (struct segment){ .type = PT_LOAD, .flags = PF_R | PF_X,
				.vaddr = lo, .filesz = hi - lo,
				.memsz = hi - lo };
	img = (struct image){ .path = "self", .type = ET_DYN, .seg = &seg,
			      .nseg = 1, .nsym = n,
			      .file = { (const uint8_t *)lo, hi - lo },
			      .codeptr = (uint64_t *)place_ptrs,
			      .ncodeptr = (size_t)(place_ptrs_end -
						   place_ptrs) };
	img.sym = arena_alloc(&arena, n * sizeof(*img.sym));
	for (size_t i = 0; i < n; i++)
		img.sym[i] = (struct symbol){
			.name = places[first + i].name,
			.addr = places[first + i].fn,
			.size = places[first + i].end - places[first + i].fn,
			.type = STT_FUNC, .bind = STB_GLOBAL };
	assert_int_equal(sites_find(&arena, &img, &sites, &e), 0);
}

static int all_places(void **state)
{
	(void)state;
	image_of(0, place_count());
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct link link_at(uint64_t addr, uint32_t prog, bool glob)
{
	const struct func *f = func_around(&sites, addr);

	assert_non_null(f);
	return (struct link){ .prog = prog, .addr = addr, .func = f,
			      .offset = addr - f->addr, .glob = glob };
}

static void plan(struct link *l, size_t n, struct plan *out)
{
	struct links links = { .link = l, .nlink = n };
	struct err e;

	assert_int_equal(plan_make(&arena, &sites, &links, out, &e), 0);
}

static void check_place(const struct spot_at *p)
{
	struct link l = link_at(p->site, 0, false);
	struct plan out;

	plan(&l, 1, &out);
	if (!p->len) {
		if (out.npatch || !strstr(out.refusal[0].why, p->want))
			fail_msg("%s: %s", p->name,
				 out.npatch ? "accepted" : out.refusal[0].why);
		assert_int_equal(out.refusal[0].link, 0);
		return;
	}
	if (out.nrefusal)
		fail_msg("%s: %s", p->name, out.refusal[0].why);
	if (strcmp(tactic_name(out.patch[0].tactic), p->want) ||
	    out.patch[0].len != p->len)
		fail_msg("%s: %s, %u bytes", p->name,
			 tactic_name(out.patch[0].tactic), out.patch[0].len);
	assert_int_equal(out.patch[0].point[0].site, p->site);
}

/* Each for itself: no other has room for its jump. */
static void test_places(void **state)
{
	(void)state;
	for (size_t i = 0; i < place_count(); i++) {
		if (strcmp(places[i].want, "hop") == 0)
			continue;
		image_of(i, 1);
		check_place(&places[i]);
	}
}

/* With neighbours: these have it. */
static void test_hops(void **state)
{
	size_t n = 0;

	(void)state;
	for (const struct spot_at *p = places; p < places_end; p++) {
		if (strcmp(p->want, "hop"))
			continue;
		check_place(p);
		n++;
	}
	assert_true(n >= 2);
}

static void test_refusal_names_address(void **state)
{
	const struct spot_at *p = place("target_inside");
	struct link l = link_at(p->site, 0, false);
	struct plan out;
	char want[64];

	(void)state;
	image_of((size_t)(p - places), 1);
	l = link_at(p->site, 0, false);
	plan(&l, 1, &out);
	snprintf(want, sizeof(want), "not weldable: jump target at 0x%llx ",
		 (unsigned long long)p->site + 2);
	assert_ptr_equal(strstr(out.refusal[0].why, want), out.refusal[0].why);
}

/* Landing pads are entered; boundaries of call sites are not. */
static void test_exception_tables(void **state)
{
	const struct spot_at *p = place("prologue");
	uint64_t at = p->site + 1;
	struct link l = link_at(p->site, 0, false);
	struct sites with;
	struct links links = { .link = &l, .nlink = 1 };
	struct plan out;
	struct err e;

	(void)state;
	img.callsite = &at;
	img.ncallsite = 1;
	assert_int_equal(sites_find(&arena, &img, &with, &e), 0);
	assert_int_equal(plan_make(&arena, &with, &links, &out, &e), 0);
	assert_int_equal(out.npatch, 1);
	/* ... but do not hide a branch to the same place. */
	image_of((size_t)(place("target_inside") - places), 1);
	l = link_at(place("target_inside")->site, 0, false);
	at = l.addr + 2;
	img.callsite = &at;
	img.ncallsite = 1;
	assert_int_equal(sites_find(&arena, &img, &with, &e), 0);
	assert_int_equal(plan_make(&arena, &with, &links, &out, &e), 0);
	assert_int_equal(out.npatch, 0);
	image_of((size_t)(p - places), 1);
	l = link_at(p->site, 0, false);
	at = p->site + 1;
	img.landing = &at;
	img.nlanding = 1;
	assert_int_equal(sites_find(&arena, &img, &with, &e), 0);
	assert_int_equal(plan_make(&arena, &with, &links, &out, &e), 0);
	assert_int_equal(out.npatch, 0);
}

static void test_endbr_stays(void **state)
{
	const struct spot_at *p = place("endbr");
	struct link l[] = { link_at(p->fn, 0, false), link_at(p->fn, 1, false),
			    link_at(p->fn + 4, 2, false) };
	struct plan out;

	(void)state;
	plan(l, 2, &out);
	assert_int_equal(out.npatch, 1);
	assert_int_equal(out.patch[0].at, p->fn + 4);
	assert_int_equal(out.patch[0].point[0].nlink, 2);
	plan(l, 3, &out); /* one behind it: the same patch, run last */
	assert_int_equal(out.npatch, 1);
	assert_int_equal(out.patch[0].npoint, 2);
	assert_int_equal(out.patch[0].point[0].site, p->fn);
	assert_int_equal(out.patch[0].point[0].nlink, 2);
	assert_int_equal(out.patch[0].point[1].site, p->fn + 4);
	assert_int_equal(out.patch[0].point[1].before, 0);
	plan(l + 2, 1, &out);
	assert_int_equal(out.patch[0].at, p->fn + 4);
	assert_int_equal(out.patch[0].point[0].site, p->fn + 4);
}

static void test_behind_entered_endbr(void **state)
{
	const struct spot_at *p = place("endbr_entered");
	struct link l[] = { link_at(p->fn, 0, false),
			    link_at(p->fn + 4, 1, false) };
	struct plan out;

	(void)state;
	plan(l, 2, &out);
	assert_int_equal(out.nrefusal, 1);
	assert_int_equal(out.refusal[0].link, 0);
	assert_int_equal(out.npatch, 1);
	assert_int_equal(out.patch[0].point[0].link, 1);
}

/* Two sites in one window share the patch, each before its instruction. */
static void test_shared(void **state)
{
	const struct spot_at *p = place("prologue");
	struct link l[] = { link_at(p->fn, 0, false),
			    link_at(p->fn + 1, 1, false),
			    link_at(p->fn + 4, 2, false) };
	struct plan out;

	(void)state;
	plan(l, 3, &out);
	assert_int_equal(out.nrefusal, 0);
	assert_int_equal(out.npatch, 1);
	assert_int_equal(out.patch[0].npoint, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(out.patch[0].point[i].before, i);
		assert_int_equal(out.patch[0].point[i].link, i);
	}
}

/* No room behind, but the site falls in from before. */
static void test_earlier(void **state)
{
	const struct spot_at *p = place("ends_early");
	struct link l = link_at(p->site, 0, false);
	struct plan out;

	(void)state;
	image_of((size_t)(p - places), 1);
	l = link_at(p->site, 0, false);
	plan(&l, 1, &out);
	assert_int_equal(out.npatch, 1);
	assert_int_equal(out.patch[0].at, p->fn);
	assert_int_equal(out.patch[0].point[0].before, 1);
}

/* The site behind a patch: that patch is made longer. */
static void test_longer(void **state)
{
	const struct spot_at *p = place("ends_early");
	struct link l[2];
	struct plan out;

	(void)state;
	image_of((size_t)(p - places), 1);
	l[0] = link_at(p->fn, 0, false);
	l[1] = link_at(p->site, 1, false);
	plan(l, 2, &out);
	assert_int_equal(out.npatch, 1);
	assert_int_equal(out.patch[0].len, 6);
	assert_int_equal(out.patch[0].npoint, 2);
	assert_int_equal(out.patch[0].point[1].before, 1);
}

static void test_neighbours(void **state)
{
	const struct spot_at *p = place("one_insn");
	struct link l[] = { link_at(p->fn, 0, false),
			    link_at(places[1].fn, 1, false) };
	struct plan out;

	(void)state;
	plan(l, 2, &out);
	assert_int_equal(out.npatch, 2);
	assert_true(out.patch[0].at < out.patch[1].at);
}

/* A refusal's code stays, whatever its text says. */
static void test_codes(void **state)
{
	static const struct {
		const char *place, *code;
	} want[] = {
		{ "target_inside", "target-branch" },
		{ "endbr_entered", "behind-endbr" },
		{ "ret_short_padding", "no-room" },
		{ "call_inside", "call-inside" },
		{ "xbegin", "immovable" },
		{ "falls_off", "function-end" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		const struct spot_at *p = place(want[i].place);
		struct link l;
		struct plan out;

		image_of((size_t)(p - places), 1);
		l = link_at(p->site, 0, false);
		plan(&l, 1, &out);
		assert_int_equal(out.nrefusal, 1);
		assert_string_equal(out.code[0], want[i].code);
	}
}

/* What each tactic said is there for the site that was asked about, and for no
 * other. */
static void test_attempts(void **state)
{
	const struct spot_at *p = place("ends_early");
	struct link l;
	struct links links = { .link = &l, .nlink = 1 };
	struct plan out;
	struct err e;

	(void)state;
	image_of((size_t)(p - places), 1);
	l = link_at(p->site, 0, false);
	plan_trace(&arena, &sites, &links, p->site, &out, &e);
	assert_int_equal(out.nattempt, 5);
	for (uint8_t t = 0; t < 4; t++) {
		assert_int_equal(out.attempt[t].tactic, TACTIC_NOP_RUN + t);
		assert_int_equal(out.attempt[t].at, p->site);
		assert_string_equal(out.attempt[t].why->code, "shape");
	}
	assert_int_equal(out.attempt[4].tactic, TACTIC_EARLIER);
	assert_int_equal(out.attempt[4].at, p->fn);
	assert_null(out.attempt[4].why);
	plan_trace(&arena, &sites, &links, p->fn, &out, &e);
	assert_int_equal(out.nattempt, 0);
	plan(&l, 1, &out);
	assert_int_equal(out.nattempt, 0);
}

/* Two rets without room: the return address tells once for both, and at the
 * entry there is room. */
static void test_two_rets(void **state)
{
	const struct spot_at *p = place("two_rets");
	struct plan out;
	struct link l;

	(void)state;
	image_of((size_t)(p - places), 1);
	l = link_at(p->fn, 0, false);
	l.when = WHEN_RETURNED;
	plan(&l, 1, &out);
	assert_int_equal(out.nrefusal, 0);
	assert_string_equal(out.instead[0]->code, "no-room");
	assert_int_equal(out.npatch, 1);
	assert_int_equal(out.patch[0].at, p->fn);
	assert_int_equal(out.patch[0].point[0].kind, POINT_ENTERED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_places, all_places),
		cmocka_unit_test_setup(test_hops, all_places),
		cmocka_unit_test_setup(test_refusal_names_address, all_places),
		cmocka_unit_test_setup(test_exception_tables, all_places),
		cmocka_unit_test_setup(test_endbr_stays, all_places),
		cmocka_unit_test_setup(test_behind_entered_endbr, all_places),
		cmocka_unit_test_setup(test_shared, all_places),
		cmocka_unit_test_setup(test_earlier, all_places),
		cmocka_unit_test_setup(test_longer, all_places),
		cmocka_unit_test_setup(test_neighbours, all_places),
		cmocka_unit_test_setup(test_two_rets, all_places),
		cmocka_unit_test_setup(test_codes, all_places),
		cmocka_unit_test_setup(test_attempts, all_places),
	};

	return cmocka_run_group_tests(tests, NULL, group_teardown);
}
