# SPDX-License-Identifier: MIT
# A workload for libzstd, which Debian's zstd has a copy of in itself: whole
# buffers and streams, levels, a dictionary, damaged frames, by way of ctypes.
# bash libzstd.sh DIRECTORY [TIMES]
set -e
export LC_ALL=C.UTF-8 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 - "${2:-1}" <<'EOF'
import ctypes
import sys
import zlib

z = ctypes.CDLL("libzstd.so.1")
for name in ("compressBound compress decompress compressCCtx compressStream2 "
             "decompressStream getFrameContentSize compress_usingDict "
             "decompress_usingDict freeCCtx freeDCtx CCtx_setParameter").split():
    getattr(z, "ZSTD_" + name).restype = ctypes.c_size_t
z.ZDICT_trainFromBuffer.restype = ctypes.c_size_t
z.ZSTD_createCCtx.restype = z.ZSTD_createDCtx.restype = ctypes.c_void_p
z.ZSTD_getErrorName.restype = ctypes.c_char_p
size = ctypes.c_size_t


class Buffer(ctypes.Structure):
    _fields_ = [("p", ctypes.c_void_p), ("size", size), ("pos", size)]


def plain(data, level):
    out = ctypes.create_string_buffer(z.ZSTD_compressBound(size(len(data))))
    n = z.ZSTD_compress(out, size(len(out)), data, size(len(data)), level)
    return out.raw[:n]


def back(data, room):
    out = ctypes.create_string_buffer(room)
    n = z.ZSTD_decompress(out, size(room), data, size(len(data)))
    if z.ZSTD_isError(size(n)):
        return z.ZSTD_getErrorName(size(n)).decode()
    return zlib.crc32(out.raw[:n])


def stream(data, level, checksum):
    cctx, out, got = z.ZSTD_createCCtx(), ctypes.create_string_buffer(700), b""
    z.ZSTD_CCtx_setParameter(ctypes.c_void_p(cctx), 100, level)
    z.ZSTD_CCtx_setParameter(ctypes.c_void_p(cctx), 201, checksum)
    source = ctypes.create_string_buffer(data, len(data))
    i = Buffer(ctypes.addressof(source), len(data), 0)
    left = 1
    while left:
        o = Buffer(ctypes.addressof(out), len(out), 0)
        left = z.ZSTD_compressStream2(ctypes.c_void_p(cctx), ctypes.byref(o),
                                      ctypes.byref(i), 2)
        got += out.raw[:o.pos]
    z.ZSTD_freeCCtx(ctypes.c_void_p(cctx))
    return got


for _ in range(int(sys.argv[1])):
    text = "".join(f"{k} {k * k % 977}\n" for k in range(9000)).encode()
    for data in text, bytes(20000), bytes(k * k % 251 for k in range(5000)), b"":
        for level in -3, 1, 3, 7, 12, 19:
            packed = plain(data, level)
            print(level, len(packed), zlib.crc32(packed),
                  back(packed, len(data) + 1), back(packed[:-1], len(data) + 1))
        packed = stream(data, 5, 1)
        print(len(packed), zlib.crc32(packed), back(packed, len(data) + 1))
    bad = bytearray(plain(text, 4))
    bad[len(bad) // 2] ^= 0x55
    print(back(bytes(bad), len(text)), back(b"no frame", 10))
    parts = [text[k:k + 60] for k in range(0, 60000, 60)]
    sizes = (size * len(parts))(*map(len, parts))
    book = ctypes.create_string_buffer(2000)
    n = z.ZDICT_trainFromBuffer(book, size(2000), b"".join(parts), sizes,
                                len(parts))
    print(n, zlib.crc32(book.raw[:n]))
EOF
