"""Heaps of several threads of a free-threaded build: of threads that live, wait and have ended.

Threads give back what others have made; objects are of all sizes; some are frozen. As heap_scene.py, but each class
here is for one purpose.
"""

import gc
import itertools
import os
import signal
import sys
import threading

import heaplib


class Node:
    def __init__(self, number):
        self.number = number


class Ended(Node):
    """Of threads that have ended."""


class Crossed(Node):
    """Every second one was given back by another thread."""


class Slotted:
    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number


class Wide(tuple):
    """Of 100 bytes to 24 MiB."""

    __slots__ = ()


class Frozen(list):
    pass


SIZES = [0, 10, 500, 900, 2000, 2100, 5000, 16000, 17000, 100000, 3 << 20]


def work(cls, made, done, go_on):
    for i in range(3000):
        made.append(cls(i))
        made.append(Slotted([i]))
    made.extend(Wide(itertools.repeat(None, size)) for size in SIZES)
    done.set()
    go_on.wait()


def start(cls):
    made, done, go_on = [], threading.Event(), threading.Event()
    thread = threading.Thread(target=work, args=(cls, made, done, go_on), daemon=True)
    thread.start()
    done.wait()
    return made, thread, go_on


def main():
    path, fifo, mode = sys.argv[1:4]
    frozen = [Frozen([i]) for i in range(100)]
    gc.collect()
    gc.freeze()
    kept = [start(cls) for cls in (Ended, Crossed, Ended, Crossed, Node)]
    for made, thread, go_on in kept[0:3:2]:
        go_on.set()
        thread.join()
    for made, _, _ in kept[1:4:2]:
        # Not the thread that made them.
        del made[:6000:4]
    heaplib.count(gc.get_objects(), path + ".warm")
    gc.collect()
    gc.disable()
    child = os.fork()
    if child == 0:
        heaplib.count(gc.get_objects(), path)
        heaplib.end_child(fifo, mode)
    if mode == "sleep":
        signal.pause()
    os.waitpid(child, 0)
    os.abort()
    return frozen, kept


main()
