/* SPDX-License-Identifier: MIT */
/* rounds - what a callback leaves behind from one call to the next. */
#include "rules.h"

RING(ring, RINGBUF);
MAP(hash, HASH, __u64, struct pair, 4);

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

char text[64];

struct kept {
	struct pair *p;
	__u64 flag;
};

static long find(__u32 i, struct kept *k)
{
	__u64 key = i;
	struct pair *p = bpf_map_lookup_elem(&hash, &key);

	if (p && !k->flag) {
		k->p = p;
		k->flag = 1;
	}
	return 0;
}

#define FLAG(n)                                                                \
	struct kept k = {};                                                    \
                                                                               \
	bpf_loop(n, find, &k, 0);                                              \
	if (k.flag)                                                            \
		k.p->a++;                                                      \
	return 0

// accepted
RULE flag_after_one(struct pt_regs *ctx)
{
	FLAG(1);
}

// accepted
RULE flag_after_four(struct pt_regs *ctx)
{
	FLAG(4);
}

// accepted
RULE flag_after_many(struct pt_regs *ctx)
{
	FLAG(1000);
}

// accepted
RULE flag_after_unknown(struct pt_regs *ctx)
{
	FLAG(UNKNOWN(ctx));
}

// refused: invalid mem access
RULE flag_not_asked(struct pt_regs *ctx)
{
	struct kept k = {};

	bpf_loop(1, find, &k, 0);
	k.p->a++;
	return 0;
}

// refused: invalid mem access
RULE flag_wrong(struct pt_regs *ctx)
{
	struct kept k = {};

	bpf_loop(4, find, &k, 0);
	if (!k.flag)
		k.p->a++;
	return 0;
}

// refused: invalid mem access
RULE flag_none_called(struct pt_regs *ctx)
{
	struct kept k = { .flag = UNKNOWN(ctx) };

	bpf_loop(0, find, &k, 0);
	if (k.flag)
		k.p->a++;
	return 0;
}

static long find_again(__u32 i, struct kept *k)
{
	__u64 key = i;

	k->p = bpf_map_lookup_elem(&hash, &key);
	k->flag = k->p != NULL;
	return 0;
}

// accepted
RULE flag_set_each_time(struct pt_regs *ctx)
{
	struct kept k = {};

	bpf_loop(UNKNOWN(ctx), find_again, &k, 0);
	if (k.flag)
		k.p->a++;
	return 0;
}

/* The flag stays, the pointer does not. */
static long lose(__u32 i, struct kept *k)
{
	__u64 key = i;
	struct pair *p = bpf_map_lookup_elem(&hash, &key);

	if (p)
		k->flag = 1;
	k->p = p;
	return 0;
}

// refused: invalid mem access
RULE flag_of_another_round(struct pt_regs *ctx)
{
	struct kept k = {};

	bpf_loop(4, lose, &k, 0);
	if (k.flag)
		k.p->a++;
	return 0;
}

// accepted
RULE flag_of_the_only_round(struct pt_regs *ctx)
{
	struct kept k = {};

	bpf_loop(1, lose, &k, 0);
	if (k.flag)
		k.p->a++;
	return 0;
}

/* --- counters */
struct some {
	struct pair *p[4];
	__u64 n;
};

static long collect(__u32 i, struct some *s)
{
	__u64 key = i;
	struct pair *p = bpf_map_lookup_elem(&hash, &key);

	if (p && s->n == 0)
		s->p[0] = p, s->n = 1;
	else if (p && s->n == 1)
		s->p[1] = p, s->n = 2;
	return 0;
}

// accepted
RULE counted_pointers(struct pt_regs *ctx)
{
	struct some s = {};

	bpf_loop(100, collect, &s, 0);
	if (s.n > 0)
		s.p[0]->a++;
	if (s.n > 1)
		s.p[1]->a++;
	return 0;
}

// refused: invalid mem access
RULE counted_pointers_one_more(struct pt_regs *ctx)
{
	struct some s = {};

	bpf_loop(100, collect, &s, 0);
	if (s.n > 0)
		s.p[1]->a++;
	return 0;
}

static long count(__u32 i, __u64 *n)
{
	text[*n] = 1;
	(*n)++;
	return 0;
}

#define INDEX(first, times)                                                    \
	__u64 n = first;                                                       \
                                                                               \
	bpf_loop(times, count, &n, 0);                                         \
	return 0

// accepted
RULE index_of_few(struct pt_regs *ctx)
{
	INDEX(60, 4);
}

// guards: 1
RULE index_of_one_more(struct pt_regs *ctx)
{
	INDEX(60, 5);
}

// accepted
RULE index_of_few_or_fewer(struct pt_regs *ctx)
{
	INDEX(57, UNKNOWN(ctx) & 7);
}

// guards: 1
RULE index_of_few_or_one_more(struct pt_regs *ctx)
{
	INDEX(58, UNKNOWN(ctx) & 7);
}

// accepted
RULE index_of_many(struct pt_regs *ctx)
{
	INDEX(32, 32);
}

// guards: 1
RULE index_of_two_counts(struct pt_regs *ctx)
{
	INDEX(60, UNKNOWN(ctx) ? 4 : 5);
}

// guards: 1
RULE index_of_two_counts_turned(struct pt_regs *ctx)
{
	INDEX(60, UNKNOWN(ctx) ? 5 : 4);
}

// guards: 1
RULE index_of_unknown(struct pt_regs *ctx)
{
	INDEX(60, UNKNOWN(ctx));
}

static long count_twice(__u32 i, __u64 *n)
{
	bpf_loop(2, count, n, 0);
	return 0;
}

// accepted
RULE index_of_few_in_few(struct pt_regs *ctx)
{
	__u64 n = 60;

	bpf_loop(2, count_twice, &n, 0);
	return 0;
}

// guards: 1
RULE index_of_few_in_one_more(struct pt_regs *ctx)
{
	__u64 n = 60;

	bpf_loop(3, count_twice, &n, 0);
	return 0;
}

/* By a detour it comes to the same place late; what is known of that says
 * nothing of who is there early. */
static long climb(__u32 i, __u64 *n)
{
	if (*n == 0)
		*n = bpf_get_prandom_u32() ? 1 : 61;
	else if (*n == 2)
		*n = 61;
	else
		++*n;
	return 0;
}

static long climb_else(__u32 i, __u64 *n)
{
	if (*n == 0)
		*n = bpf_get_prandom_u32() ? 61 : 1;
	else if (*n == 2)
		*n = 61;
	else
		++*n;
	return 0;
}

#define CLIMB(times, how)                                                      \
	__u64 n = 0;                                                           \
                                                                               \
	bpf_loop(times, how, &n, 0);                                           \
	text[n] = 1;                                                           \
	return 0

// accepted
RULE climbs_three(struct pt_regs *ctx)
{
	CLIMB(3, climb);
}

// accepted
RULE climbs_three_else(struct pt_regs *ctx)
{
	CLIMB(3, climb_else);
}

// guards: 1
RULE climbs_four(struct pt_regs *ctx)
{
	CLIMB(4, climb);
}

// guards: 1
RULE climbs_four_else(struct pt_regs *ctx)
{
	CLIMB(4, climb_else);
}

/* --- records */
struct held {
	struct pair *r;
	__u64 flag;
};

static long reserves(__u32 i, struct held *h)
{
	if (h->flag)
		return 1;
	h->r = bpf_ringbuf_reserve(&ring, sizeof(struct pair), 0);
	if (h->r)
		h->flag = 1;
	return 0;
}

#define SUBMIT(h)                                                              \
	if ((h).flag)                                                          \
		bpf_ringbuf_submit((h).r, 0);                                  \
	return 0
#define LEFT(times, how)                                                       \
	struct held h = {};                                                    \
                                                                               \
	bpf_loop(times, how, &h, 0);                                           \
	SUBMIT(h)

// accepted
RULE record_left_by_one(struct pt_regs *ctx)
{
	LEFT(1, reserves);
}

// accepted
RULE record_left_by_any(struct pt_regs *ctx)
{
	LEFT(UNKNOWN(ctx), reserves);
}

// refused: Unreleased reference id=
RULE record_left_and_not_submitted(struct pt_regs *ctx)
{
	struct held h = {};

	bpf_loop(1, reserves, &h, 0);
	return 0;
}

// refused: Unreleased reference id=
RULE record_left_and_submitted_on_one_path(struct pt_regs *ctx)
{
	struct held h = {};

	bpf_loop(4, reserves, &h, 0);
	if (h.flag && UNKNOWN(ctx))
		bpf_ringbuf_submit(h.r, 0);
	return 0;
}

// refused: Unreleased reference id=
RULE record_left_by_none(struct pt_regs *ctx)
{
	struct held h = {};

	bpf_loop(4, reserves, &h, 0);
	if (!h.flag)
		bpf_ringbuf_submit(h.r, 0);
	return 0;
}

/* The second round loses what the first has left. */
static long reserves_anew(__u32 i, struct held *h)
{
	h->r = bpf_ringbuf_reserve(&ring, sizeof(struct pair), 0);
	h->flag = h->r != NULL;
	return 0;
}

// accepted
RULE record_of_the_only_round(struct pt_regs *ctx)
{
	LEFT(1, reserves_anew);
}

// refused: Unreleased reference id=
RULE record_lost_in_round_two(struct pt_regs *ctx)
{
	LEFT(2, reserves_anew);
}

// refused: Unreleased reference id=
RULE record_lost_in_some_round(struct pt_regs *ctx)
{
	LEFT(UNKNOWN(ctx), reserves_anew);
}

/* Only who was called can get at it. */
static long leaves_iterator(__u32 i, void *none)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	return 0;
}

// refused: Unreleased reference id=
RULE iterator_left(struct pt_regs *ctx)
{
	bpf_loop(4, leaves_iterator, NULL, 0);
	return 0;
}

static long gives_back(__u32 i, struct held *h)
{
	if (h->flag)
		bpf_ringbuf_submit(h->r, 0);
	h->flag = 0;
	return 0;
}

static long gives_back_again(__u32 i, struct held *h)
{
	bpf_ringbuf_submit(h->r, 0);
	h->flag = 0;
	return 0;
}

#define GIVEN(times, how)                                                      \
	struct held h = { bpf_ringbuf_reserve(&ring, sizeof(struct pair), 0),  \
			  1 };                                                 \
                                                                               \
	if (!h.r)                                                              \
		return 0;                                                      \
	bpf_loop(times, how, &h, 0)

// accepted
RULE record_given_back(struct pt_regs *ctx)
{
	GIVEN(UNKNOWN(ctx), gives_back);
	SUBMIT(h);
}

// accepted
RULE record_given_back_by_the_only_round(struct pt_regs *ctx)
{
	GIVEN(1, gives_back_again);
	SUBMIT(h);
}

// refused: R1 type=scalar expected=ringbuf_mem
RULE record_given_back_in_round_two(struct pt_regs *ctx)
{
	GIVEN(2, gives_back_again);
	SUBMIT(h);
}

/* It may not have been called. */
// refused: Unreleased reference id=
RULE record_perhaps_given_back(struct pt_regs *ctx)
{
	GIVEN(1, gives_back);
	return 0;
}

// refused: invalid mem access 'scalar'
RULE record_given_back_and_used(struct pt_regs *ctx)
{
	GIVEN(1, gives_back);
	h.r->a = 1;
	SUBMIT(h);
}

static long counts(__u32 i, struct held *h)
{
	text[h->flag++] = 1;
	return 0;
}

/* Where one is held, nothing is guarded. */
// refused: no guard can be put there
RULE index_while_a_record_is_held(struct pt_regs *ctx)
{
	GIVEN(100, counts);
	bpf_ringbuf_submit(h.r, 0);
	return 0;
}

/* --- an iterator's loop */
// accepted
RULE record_of_an_earlier_turn(struct pt_regs *ctx)
{
	struct bpf_iter_num it;
	struct held h = {};
	volatile __u64 flag = 0;

	bpf_iter_num_new(&it, 0, 1000);
	while (bpf_iter_num_next(&it)) {
		if (flag) {
			h.r->a++;
			continue;
		}
		h.r = bpf_ringbuf_reserve(&ring, sizeof(struct pair), 0);
		flag = h.r != NULL;
	}
	bpf_iter_num_destroy(&it);
	if (flag)
		bpf_ringbuf_submit(h.r, 0);
	return 0;
}

// accepted
RULE pointer_of_an_earlier_turn(struct pt_regs *ctx)
{
	struct bpf_iter_num it;
	volatile __u64 flag = 0;
	struct pair *p = NULL;
	__u64 key;
	int *i;

	bpf_iter_num_new(&it, 0, 1000);
	while ((i = bpf_iter_num_next(&it))) {
		key = *i;
		if (flag) {
			p->a++;
			continue;
		}
		p = bpf_map_lookup_elem(&hash, &key);
		flag = p != NULL;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

/* --- for_each */
static long each(void *map, __u64 *key, struct pair *p, struct kept *k)
{
	if (p->a > p->b) {
		k->p = p;
		k->flag = 1;
	}
	return 0;
}

// accepted
RULE element_found(struct pt_regs *ctx)
{
	struct kept k = {};

	bpf_for_each_map_elem(&hash, each, &k, 0);
	if (k.flag)
		k.p->a++;
	return 0;
}
