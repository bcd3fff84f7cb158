#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Formats: lengths, texts and errors as the kernel's.
. "$(dirname "$0")/common-diff.sh"
helpers_build
judge $t/helpers $O/formats.bpf.o -- $t/helpers
bpf $D/formats.bpf.c -mcpu=v3
judge $t/helpers $t/formats.bpf.o -- $t/helpers
