/* SPDX-License-Identifier: MIT */
/* dynamic.h - single entries of the dynamic section. */
#ifndef BPFWELD_DYNAMIC_H
#define BPFWELD_DYNAMIC_H

#include "elf/image.h"

/* Value of the first DT_TAG; false when there is none. */
bool dynamic_get(const struct image *img, int64_t tag, uint64_t *value);

#endif
