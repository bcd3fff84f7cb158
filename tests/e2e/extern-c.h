/* SPDX-License-Identifier: MIT */
/* The sample as C++, its function still under its plain name. */
extern "C" int work(int x);
