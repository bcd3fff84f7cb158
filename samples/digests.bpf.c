/* SPDX-License-Identifier: MIT */
/* digests - how much a program hashes; the target is a shared library.
 *
 *     lib=/usr/lib/x86_64-linux-gnu/libcrypto.so.3
 *     mkdir -p lib && bpfweld weld $lib digests.bpf.o -o lib/libcrypto.so.3
 *     LD_LIBRARY_PATH=$PWD/lib openssl dgst -sha256 digests.bpf.c
 *     bpfweld map dump lib/libcrypto.so.3 .bss
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 updates, bytes, finals;
__u64 sizes[16]; /* updates of 4^i bytes or more, less than 4^(i+1) */

SEC("uprobe/libcrypto.so.3:EVP_DigestUpdate")
int update(struct pt_regs *ctx)
{
	__u64 n = PT_REGS_PARM3(ctx);
	int i = 0;

	__sync_fetch_and_add(&updates, 1);
	__sync_fetch_and_add(&bytes, n);
#pragma unroll
	for (int k = 1; k < 16; k++)
		if (n >> (2 * k))
			i = k;
	__sync_fetch_and_add(&sizes[i & 15], 1);
	return 0;
}

SEC("uprobe/libcrypto.so.3:EVP_DigestFinal_ex")
int final(void *ctx)
{
	__sync_fetch_and_add(&finals, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
