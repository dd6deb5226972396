"""Memory settings for long work on a CPU."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MEBIBYTE = 1 << 20


def keep_freed_memory() -> bool:
    """Let glibc keep freed blocks instead of handing them back to the kernel after every step or picture.

    Activations of several megabytes are otherwise mapped, zeroed page by page and unmapped at each use: at 128 px that
    took three quarters of a training step. Returns whether the C library could be told (glibc on Linux only).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    told = mallopt(_M_MMAP_THRESHOLD, 1 << 30) and mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    return bool(told and mallopt(_M_TOP_PAD, 64 * _MEBIBYTE))
