/* SPDX-License-Identifier: MIT */
/* The whole pipeline, but for the writing, on any bytes as the target: a probe
 * at every function that the reader finds in them.  Whatever they are, weld()
 * ends with a plan or with an error, and what it says of its plan holds.
 *
 * Seeds: small programs and libraries (run.sh).  The object is the build's
 * obj/count.bpf.o.
 */
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rewriter/weld.h"

static char object[PATH_MAX], target[32];
static int fd;

/* One memfd, filled anew each time. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *slash = strrchr((*argv)[0], '/');
	int dir = slash ? (int)(slash - (*argv)[0]) + 1 : 0;

	(void)argc;
	snprintf(object, sizeof(object), "%.*s../obj/count.bpf.o", dir,
		 (*argv)[0]);
	fd = memfd_create("target", 0);
	snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	if (fd < 0 || access(object, R_OK)) {
		perror(object);
		exit(1);
	}
	return 0;
}

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* Patches ascend, lie in code, and never share a byte; each has its jump and
 * nothing else is edited. */
static void plan_holds(const struct weld *w)
{
	uint64_t end = 0;

	for (size_t i = 0; i < w->plan.npatch; i++) {
		const struct patch *p = &w->plan.patch[i];

		check(p->at >= end && image_is_code(&w->img, p->at));
		check(image_at(&w->img, p->at, p->len) != NULL);
		for (size_t k = 0; k < p->npoint; k++)
			check(p->point[k].before < p->ninsn);
		end = p->at + p->len;
	}
	check(w->nprobe + w->plan.nrefusal == w->links.nlink);
	end = 0;
	for (size_t i = 0; i < w->edits.nedit; i++) {
		const struct edit *d = &w->edits.edit[i];

		check(d->vaddr >= end && image_at(&w->img, d->vaddr, d->len));
		end = d->vaddr + d->len;
	}
}

/* A change of length makes most files into rubbish: three times out of four a
 * few bytes change where they stand. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
			       unsigned seed)
{
	size_t len = 1 + (seed >> 8) % 12, at;

	if (seed % 4 == 0 || size <= len)
		return LLVMFuzzerMutate(data, size, max);
	at = (seed >> 12) % (size - len);
	LLVMFuzzerMutate(data + at, len, len);
	return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const objects[] = { object };
	static const char *const probes[] = { "count=uprobe:*" };
	struct weld_options opt = {
		.target = target,
		.object = objects,
		.nobject = 1,
		.probe = probes,
		.nprobe = 1,
		.engine = size & 1 ? ENGINE_VM : ENGINE_NATIVE,
		.dry_run = true,
	};
	struct weld w = { 0 };
	struct err e;

	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (!weld(&w, &opt, &e))
		plan_holds(&w);
	weld_free(&w);
	return 0;
}
