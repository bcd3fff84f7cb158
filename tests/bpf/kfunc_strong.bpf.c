// SPDX-License-Identifier: MIT
// A kernel function that must be there: refused, naming it.
#define STRONG
#include "kfunc.bpf.c"
