/* SPDX-License-Identifier: MIT */
/* lines.h - keep the line table from naming addresses inside patches.
 *
 * A debugger puts its breakpoint on a function or a source line where a row of
 * .debug_line says.  Inside a patch that is between the bytes of a jump, and
 * the breakpoint would make it jump elsewhere.  So rows inside a patch move to
 * its first byte, which is run whenever they would have been.
 *
 * In:   the image, and ranges [at, end), sorted, of which only the first byte
 *       is an instruction's.
 * Out:  bytes of .debug_line to be replaced, of the same length as before.
 * Not done: compressed tables; rows whose encoding has no room for the change
 *       stay where they are.
 */
#ifndef BPFWELD_LINES_H
#define BPFWELD_LINES_H

#include "elf/emit.h"

struct line_range {
	uint64_t at, end;
};
void lines_move(struct arena *a, const struct image *img,
		const struct line_range *r, size_t n, struct raw_edit **edit,
		size_t *nedit);

#endif
