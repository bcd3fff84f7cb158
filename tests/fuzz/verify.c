/* SPDX-License-Identifier: MIT */
/* The input decides what program is made (tests/prove/make.h).  Whatever the
 * verifier accepts touches nothing but its objects, holds what the verifier
 * said, and gives the same in all engines.
 */
#include "tests/prove/prove.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dice d = { .byte = data, .nbyte = size, .seed = size + 1 };
	struct tally t = { 0 };

	if (prove(&d, &t))
		__builtin_trap();
	return 0;
}
