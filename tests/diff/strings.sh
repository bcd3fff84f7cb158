#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bpf_strncmp, bpf_strtol and bpf_strtoul, as under the kernel.
. "$(dirname "$0")/common-diff.sh"
helpers_build
judge $t/helpers $O/strings.bpf.o -- $t/helpers
bpf $D/strings.bpf.c -mcpu=v3
judge $t/helpers $t/strings.bpf.o -- $t/helpers
