/* SPDX-License-Identifier: MIT */
#include "runtime-stub/fault.S"
