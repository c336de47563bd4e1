"""900 calls of one function, in the main thread and in another one."""

import sys

import truthlib

DEPTH = 900


def descend(depth, stop, text="level"):
    below = depth - 1
    if depth > 0:
        return descend(below, stop, text) + 1
    stop()
    return 0


def in_thread(park):
    descend(DEPTH, park)


def main():
    scene = truthlib.Scene(sys.argv)
    scene.start("deep", in_thread, stack=8 * 1024 * 1024)
    descend(DEPTH, scene.stop)


if __name__ == "__main__":
    main()
