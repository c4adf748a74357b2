"""Zstandard: the standard library's where it has it (Python 3.14), its backport elsewhere."""

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdError, ZstdFile, compress, decompress
else:
    from backports.zstd import ZstdCompressor, ZstdError, ZstdFile, compress, decompress

__all__ = ["ZstdCompressor", "ZstdError", "ZstdFile", "compress", "decompress"]
