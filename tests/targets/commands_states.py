# -*- coding: utf-8 -*-
"""Threads in each state that py-threads knows: commands_states.py OUT FIFO sleep|ask WHAT [LIBRARY].

busy: three threads compute, so that one holds the GIL and the others wait for it; the main thread sleeps.
collecting: a weak reference's callback stands still inside a garbage collection (works since Python 2.7, where there
    are no gc.callbacks).
sweeping: the main thread does nothing but collect a large heap, again and again.
foreign: LIBRARY's start() makes a C thread that never heard of Python.
"""

import ctypes
import gc
import os
import sys
import threading
import time
import weakref

import truthlib


class Node(object):
    pass


def busy_scene(scene):
    computing = []

    def compute():
        number = 0
        while True:
            number += 1
            if number == 1000:
                computing.append(number)

    for number in range(3):
        thread = threading.Thread(target=compute, name="busy%d" % number)
        thread.daemon = True
        thread.start()
    while len(computing) < 3:
        time.sleep(0.01)
    scene.ready()
    time.sleep(1000000)


def collect(park):
    node = Node()
    node.itself = node

    def callback(_reference):
        park(1000000)  # mark callback

    reference = weakref.ref(node, callback)
    del node
    gc.collect()
    return reference


def sweep(scene):
    heap = [[number] for number in range(1000000)]
    scene.ready()
    collect = gc.collect
    while True:
        collect()
    return heap


def main():
    scene = truthlib.Scene(sys.argv)
    what = scene.extra[0]
    if what == "busy":
        busy_scene(scene)
    elif what == "collecting":
        scene.start("collector", collect, lambda: time.sleep)
        scene.stop()
    elif what == "sweeping":
        sweep(scene)
    elif what == "foreign":
        library = ctypes.CDLL(scene.extra[1])
        reader, writer = os.pipe()
        assert library.start(writer) == 0
        # Its byte says that it runs; it blocks for ever right after.
        os.read(reader, 1)
        scene.ready()
        time.sleep(1000000)


if __name__ == "__main__":
    main()
