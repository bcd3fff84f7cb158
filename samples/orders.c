/* SPDX-License-Identifier: MIT */
/* orders - a program with USDT probes for orders.bpf.c to look at.
 *
 * A probe costs a nop.  What its arguments cost is only paid while somebody
 * looks, which the probe's semaphore says. */
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <sys/sdt.h>

#define SEMAPHORE(name)                                                        \
	__extension__ unsigned short name##_semaphore                          \
		__attribute__((section(".probes")))
SEMAPHORE(orders_begin);
SEMAPHORE(orders_done);

struct order {
	int id, pieces;
	double price;
};

/* For the probe alone. */
static double total_of(const struct order *o)
{
	return o->pieces * o->price;
}

__attribute__((noinline)) static void handle(struct order *o)
{
	STAP_PROBE1(orders, begin, o->id);
	o->price *= o->pieces > 5 ? 0.9 : 1;
	if (orders_done_semaphore)
		STAP_PROBE3(orders, done, o->id, o->pieces, total_of(o));
}

int main(void)
{
	struct order o;

	for (int i = 0; i < 1000; i++) {
		o = (struct order){ i, i % 10, 2.5 };
		handle(&o);
	}
	puts("1000 orders");
	return 0;
}
