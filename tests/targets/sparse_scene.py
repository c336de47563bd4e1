"""A gigabyte of memory of which one page in the middle was touched; lists so large that malloc has them."""

import json
import mmap
import signal
import sys

import heaplib

SIZE = 1 << 30


def main():
    sparse = mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    sparse[SIZE // 2 : SIZE // 2 + 1] = b"x"
    large = [[None] * 100000 for _ in range(10)]
    with open(sys.argv[1], "w") as out:
        json.dump({"lists": len(large)}, out)
    heaplib.ready(sys.argv[2])
    signal.pause()
    return sparse, large


main()
