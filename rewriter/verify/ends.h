/* SPDX-License-Identifier: MIT */
/* ends.h - the graph that a walk leaves; private to ends.c and longest.c.
 *
 * A node is a kept state, 0 the beginning; a way leads from one to the next.
 * ends_not() takes it apart in rounds, and leaves here what it has found:
 *
 *   round 0   components, and between them ways that are taken once at most
 *             (`gone` 1)
 *             in each component, ways that use up a limit which is not renewed
 *             there: `turns` at most (`gone` 1, `good`)
 *   round 1   the same of what is left of each component
 *   ...
 *   the last  has no component with a way in it
 */
#ifndef BPFWELD_VERIFY_ENDS_H
#define BPFWELD_VERIFY_ENDS_H

#include "rewriter/verify/verifier.h"

struct way {
	uint32_t from, to;
	uint64_t used, renewed; /* limits, a bit each */
	uint64_t steps;         /* instructions on it */
	uint32_t most;          /* what there is of the limits that are used */
	uint32_t site; /* where a turn is counted; NO_INSN: at `from` */
	uint32_t gone; /* 0: it is there; else the round + 1 */
	bool good;     /* gone, as it is not taken for ever */
};

struct node {
	uint32_t insn;
	uint64_t tail; /* the most instructions from here to an end, meeting
			  no other node */
};

struct round {
	uint32_t *of;    /* each node's component: a number up to nnode */
	uint32_t *order; /* nodes, by component; ways lead to earlier ones */
	uint64_t *turns; /* of each component, or 0 */
	struct round *before;
};

struct ends {
	struct node *node;
	uint32_t nnode, node_room;
	struct way *way;
	uint32_t nway, way_room;
	uint16_t iter[64]; /* frame and slot of limits above FRAMES */
	uint32_t niter;
	struct round *last;
	uint32_t nround;
	uint32_t *first, *sorted; /* ways from node n: [first[n], first[n + 1])
				     of `sorted` */
};

void *ends_room(size_t n, size_t size); /* zeroed */

#endif
