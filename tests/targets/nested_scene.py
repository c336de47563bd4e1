"""A list in a list, a million times over."""

import os
import sys

import truthlib


def nested(scene):
    deep = []
    for _ in range(1000000):
        deep = [deep]
    del _
    scene.ready()
    os.read(0, 1)
    return deep


def main():
    nested(truthlib.Scene(sys.argv))
    # Taking it apart one by one is quicker than the interpreter's own way down.
    os._exit(0)


if __name__ == "__main__":
    main()
