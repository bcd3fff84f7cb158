#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The small ones of the coverage corpus: with every entry and every return probed
# at once they run as before, and a sample is counted as by the kernel's probes.
. "$(dirname "$0")/../targets/common.sh"
export SHORT=1
# shellcheck disable=SC2046
exec bash "$(dirname "$0")/../coverage.sh" $(awk '$3 == "short" { print $1 }' \
	<<<"$corpus")
