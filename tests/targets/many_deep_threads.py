"""Enough to do for a command that somebody wants to interrupt: 8 threads, or $DEEP_THREADS, each 800 calls deep."""

import os
import sys
import threading
import time

import truthlib

THREADS, DEPTH = int(os.environ.get("DEEP_THREADS", 8)), 800


def call(depth, park, **more):
    local = [depth, str(depth), {"depth": depth}]
    if depth:
        return call(depth - 1, park, before=local)
    return park(1000000)


def deep(park):
    call(DEPTH, park)


def main():
    sys.setrecursionlimit(10 * DEPTH)
    scene = truthlib.Scene(sys.argv)
    for number in range(THREADS):
        scene.start("deep%d" % number, deep, lambda: time.sleep, stack=16 << 20)
    truthlib.settle(THREADS)
    scene.ready()
    threading.Event().wait()


if __name__ == "__main__":
    main()
