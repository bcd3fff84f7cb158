/* SPDX-License-Identifier: MIT */
/* sema.c - semaphores: a program sets its arguments up only where the u16 that
 * a probe names is not 0.  The kernel adds 1 for each probed site, in each
 * process, however many programs are there; ours begin with that number.
 */
#include <stdlib.h>

#include "rewriter/usdt/usdt.h"

struct counted { /* a welded site and its semaphore */
	uint64_t sema, site;
};

static int by_sema(const void *x, const void *y)
{
	const struct counted *a = x, *b = y;

	if (a->sema != b->sema)
		return a->sema < b->sema ? -1 : 1;
	return a->site < b->site ? -1 : a->site > b->site;
}

static uint16_t original(const struct image *img, uint64_t addr)
{
	const uint8_t *p = image_at(img, addr, 2);
	uint16_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

size_t semaphores(struct arena *a, const struct image *img,
		  const struct links *links, const uint32_t *probe_of,
		  struct semaphore **out)
{
	struct counted *v = arena_alloc(a, (links->nlink + 1) * sizeof(*v));
	size_t i, n = 0, nsema = 0;

	*out = arena_alloc(a, (links->nlink + 1) * sizeof(**out));
	for (i = 0; i < links->nlink; i++) {
		const struct link *l = &links->link[i];

		if (l->note && l->note->sema && l->when != WHEN_NOP5 &&
		    probe_of[i] != UINT32_MAX)
			v[n++] = (struct counted){ l->note->sema, l->addr };
	}
	if (n)
		qsort(v, n, sizeof(*v), by_sema);
	for (i = 0; i < n; i++) {
		if (i && !by_sema(&v[i - 1], &v[i]))
			continue;
		if (!i || v[i].sema != v[i - 1].sema)
			(*out)[nsema++] = (struct semaphore){
				v[i].sema, original(img, v[i].sema)
			};
		(*out)[nsema - 1].value++;
	}
	return nsema;
}
