# SPDX-License-Identifier: MIT
"""Cut the BPF object out of a tool that carries it as bpftool's skeletons do: as
a string.  Usage: TOOL OUT.  An object ends with its section headers, which are
written last."""
import struct
import sys

ELF64 = b"\x7fELF\x02\x01\x01"
EM_BPF = 247

data = open(sys.argv[1], "rb").read()
at = data.find(ELF64, 1)
while at >= 0 and struct.unpack_from("<H", data, at + 18)[0] != EM_BPF:
    at = data.find(ELF64, at + 1)
if at < 0:
    sys.exit(f"{sys.argv[1]}: no BPF object in it")
sections, = struct.unpack_from("<Q", data, at + 40)
size, count = struct.unpack_from("<HH", data, at + 58)
open(sys.argv[2], "wb").write(data[at:at + sections + size * count])
