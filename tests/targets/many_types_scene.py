"""An object of each of more types than a number of two bytes can name."""

import gc
import json
import signal
import sys

import heaplib

TYPES = 70000


def main():
    path, fifo, _ = sys.argv[1:4]
    gc.disable()
    made = [type("Made", (), {"__slots__": ()})() for _ in range(TYPES)]
    with open(path, "w") as out:
        json.dump({"objects": len(made), "types": len(set(map(type, made)))}, out)
    heaplib.ready(fifo)
    signal.pause()
    return made


main()
