/* SPDX-License-Identifier: MIT */
/* hosted.h - the stub's maps as a reader's: included before map.c and the files
 * that it needs (CMakeLists.txt), where they are compiled once more.
 *
 * In the stub there is one region, at a fixed place.  Here it is whichever the
 * calling thread has said it is at (write.c).
 */
#ifndef BPFWELD_HOSTED_H
#define BPFWELD_HOSTED_H

/* Not to be taken for the stub's own, which tests are linked with. */
#define cpu_value hosted_cpu_value
#define cpu_put hosted_cpu_put
#define own_writer hosted_own_writer
#define own_self hosted_own_self
#define own_is_dead hosted_own_is_dead

#include "runtime-stub/abi.h"

#pragma GCC visibility push(hidden)
struct hosted {
	uint8_t *region;
	struct weld_info info; /* what maps want to know */
};
extern _Thread_local struct hosted hosted;
#pragma GCC visibility pop

#define weld_region (hosted.region)
#define weld_info (hosted.info)

#endif
