/* SPDX-License-Identifier: MIT */
/* user_ring - writes samples into the rings that user_ring.bpf.c drains, right
 * and wrong ones: into the kernel's map where there is one (an ancestor, which
 * has attached the probes, has it open), else into the region's. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime-stub/layout.h"

enum {
	SIZE = 4096,
	LARGE = 2 << 20,
	PAGE = 4096,
	FDS = 64
};

#define BUSY (1u << 31)
#define DISCARD (1u << 30)

struct ring {
	volatile uint64_t *producer, *consumer;
	uint8_t *data;
	uint64_t size;
};

__attribute__((noinline, noclone)) long step(long i, long stop_after,
					     long calls)
{
	__asm__ volatile("" : "+r"(i), "+r"(stop_after), "+r"(calls)::"memory");
	return i * 3 + 1;
}

__attribute__((noinline, noclone)) long step_large(long i)
{
	__asm__ volatile("" : "+r"(i)::"memory");
	return i * 5 + 1;
}

static void need(int truth, const char *what)
{
	if (truth)
		return;
	perror(what);
	exit(2);
}

/* --- Where the rings are. */

static long parent_of(long pid)
{
	char path[64], line[512], *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "r");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	fclose(f);
	at = strrchr(line, ')');
	return at ? atol(at + 4) : 0;
}

static int is_ring(int fd, uint64_t size)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr = { 0 };

	attr.info.bpf_fd = fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)&info;
	return !syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) &&
	       info.type == BPF_MAP_TYPE_USER_RINGBUF &&
	       info.max_entries == size;
}

static int kernel_map(uint64_t size)
{
	for (long pid = getppid(); pid > 1; pid = parent_of(pid)) {
		int of = (int)syscall(SYS_pidfd_open, pid, 0);

		for (int i = 3; of >= 0 && i < FDS; i++) {
			int fd = (int)syscall(SYS_pidfd_getfd, of, i, 0);

			if (fd >= 0 && is_ring(fd, size))
				return fd;
			if (fd >= 0)
				close(fd);
		}
		close(of);
	}
	return -1;
}

static struct ring of_kernel(int fd, uint64_t size)
{
	uint8_t *c = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	uint8_t *p = mmap(NULL, PAGE + 2 * size, PROT_READ | PROT_WRITE,
			  MAP_SHARED, fd, PAGE);

	need(c != MAP_FAILED && p != MAP_FAILED, "the kernel's ring");
	return (struct ring){ (void *)p, (void *)c, p + PAGE, size };
}

static struct ring of_region(uint64_t size)
{
	const char *path = getenv("BPFWELD_REGION");
	int fd = open(path ? path : "", O_RDWR | O_CLOEXEC);
	const struct region_header *h;
	const struct region_map *m;
	struct stat st;
	uint8_t *base;

	need(fd >= 0 && !fstat(fd, &st), "region");
	base = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	need(base != MAP_FAILED, "region");
	h = (void *)base;
	m = (void *)(base + h->maps);
	for (uint32_t i = 0; i < h->map_count; i++, m++)
		if (m->type == BPF_MAP_TYPE_USER_RINGBUF && m->stride == size) {
			struct user_ring_head *u = (void *)(base + m->data);

			return (struct ring){ &u->producer, &u->consumer,
					      (uint8_t *)(u + 1), size };
		}
	need(0, "a ring in the region");
	exit(2);
}

static struct ring find(uint64_t size)
{
	int fd = kernel_map(size);

	return fd >= 0 ? of_kernel(fd, size) : of_region(size);
}

/* --- Samples. */

static uint32_t *put(struct ring *r, uint32_t len, uint32_t flags, uint8_t with)
{
	uint64_t at = *r->producer;
	uint8_t *header = r->data + at % r->size;

	for (uint32_t i = 0; i < len; i++)
		header[8 + i] = with + i;
	*(uint32_t *)header = len | flags;
	*(uint32_t *)(header + 4) = 0;
	__atomic_store_n(r->producer, at + (len + 15) / 8 * 8,
			 __ATOMIC_RELEASE);
	return (uint32_t *)header;
}

/* What was written wrongly is as if it had never been. */
static void forget(struct ring *r)
{
	*r->producer = *r->consumer;
}

static long run(struct ring *r)
{
	long i = 0;
	uint32_t *busy, *second;

	step(i++, 0, 0); /* nothing */
	put(r, 16, 0, 1);
	step(i++, 0, 0);
	for (int k = 0; k < 9; k++)
		put(r, 10 + k * 3, 0, k);
	step(i++, 0, 0);
	for (int k = 0; k < 9; k++)
		put(r, 20 + k * 5, k % 3 == 1 ? DISCARD : 0, k);
	step(i++, 0, 0);
	put(r, 16, DISCARD, 9);
	step(i++, 0, 0);
	put(r, 16, DISCARD | BUSY, 9);
	step(i++, 0, 0);
	for (int k = 0; k < 9; k++)
		put(r, 20 + k * 5, 0, k);
	step(i++, 4, 0); /* stops at the fourth */
	step(i++, 1, 0);
	step(i++, 0, 0);
	busy = put(r, 24, BUSY, 5);
	put(r, 16, 0, 6);
	step(i++, 0, 0);
	*busy &= ~BUSY;
	step(i++, 0, 0);
	put(r, 8, 0, 7);
	busy = put(r, 24, BUSY, 8);
	second = put(r, 24, BUSY, 9);
	put(r, 0, 0, 0);
	step(i++, 0, 0);
	*second = 24 | DISCARD;
	step(i++, 0, 0);
	*busy = 24;
	step(i++, 0, 0);
	for (int k = 0; k < 12; k++) { /* around the end, in every way */
		put(r, 700 + k * 8, 0, k);
		put(r, 500 + k * 24, k & 1 ? DISCARD : 0, k);
		step(i++, 0, 0);
	}
	put(r, SIZE - 8, 0, 3); /* all of it */
	step(i++, 0, 0);
	put(r, 16, 0, 4);
	*r->producer += 4;
	step(i++, 0, 0); /* a position that cannot be */
	*r->producer -= 4;
	step(i++, 0, 0);
	*put(r, 16, 0, 4) = 40;
	step(i++, 0, 0); /* longer than what was written */
	forget(r);
	put(r, 16, 0, 4);
	*put(r, 16, 0, 4) = 25 | DISCARD;
	step(i++, 0, 0);
	forget(r);
	*put(r, 16, 0, 4) = 25 | BUSY;
	step(i++, 0, 0);
	forget(r);
	busy = put(r, 16, 0, 4);
	*r->producer += 2 * SIZE;
	*busy = SIZE; /* longer than the ring */
	step(i++, 0, 0);
	memset(busy, 7, SIZE); /* (as large as it may be) */
	*busy = SIZE - 8;
	*r->producer = *r->consumer + SIZE;
	step(i++, 0, 0);
	busy = put(r, 16, 0, 4);
	*r->producer += 1 << 26;
	*busy = 1 << 24;
	step(i++, 0, 0);
	forget(r);
	*r->producer -= 8; /* behind the consumer */
	step(i++, 0, 0);
	forget(r);
	put(r, 30, 0, 11);
	step(i++, 0, 0);
	return i;
}

/* More than one drain takes. */
static void run_large(struct ring *r)
{
	for (int k = 0; k < 200000; k++)
		put(r, 0, k < 1000 || k % 5 ? 0 : DISCARD, 0);
	step_large(0);
	step_large(1);
	step_large(2);
	for (int k = 0; k < 140000; k++)
		put(r, 0, k % 7 == 6 ? 0 : DISCARD, 0);
	step_large(3);
	step_large(4);
	*put(r, 0, 0, 0) = (1u << 24) + 8;
	*r->producer += (1 << 24) + 8;
	step_large(5);
}

int main(void)
{
	struct ring ring = find(SIZE), large = find(LARGE);

	printf("%ld\n", run(&ring));
	run_large(&large);
	return 0;
}
