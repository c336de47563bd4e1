# -*- coding: utf-8 -*-
"""Threads in each state that py-threads knows: commands_states.py OUT FIFO sleep|ask WHAT [LIBRARY].

busy: three threads compute, so that one holds the GIL and the others wait for it; the main thread sleeps.
collecting: a weak reference's callback stands still inside a garbage collection (works since Python 2.7, where there
    are no gc.callbacks).
sweeping: the main thread does nothing but collect a large heap, again and again.
passing: one thread has been created and waits for the GIL before its first line, which the main thread never lets go
    of; one has ended for Python and not for the kernel; of one, the thread state is being taken apart, which runs a
    destructor. OUT has the ids of the last two.
foreign: LIBRARY's start() makes a C thread that never heard of Python.
"""

import ctypes
import gc
import json
import os
import sys
import threading
import time
import weakref

import truthlib

try:
    import _thread as thread
except ImportError:
    import thread

SYS_gettid = 186


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


class Last(object):
    """Of a thread's local storage: goes when the thread state goes."""

    def __del__(self, sleep=time.sleep):
        sleep(1000000)  # mark last


def passing(scene):
    libc = ctypes.CDLL(None)
    holding_the_gil = ctypes.PyDLL(None)
    local = threading.local()
    ids = {}

    def ending():
        # When the thread ends, libc calls this destructor with this value: sleep(1000000).
        key = ctypes.c_uint()
        libc.pthread_key_create(ctypes.byref(key), ctypes.cast(libc.sleep, ctypes.c_void_p))
        libc.pthread_setspecific(key, ctypes.c_void_p(1000000))
        ids["ending"] = libc.syscall(SYS_gettid)

    def clearing():
        local.last = Last()
        ids["clearing"] = libc.syscall(SYS_gettid)

    for function in (ending, clearing):
        thread.start_new_thread(function, ())
    truthlib.settle(2)
    with open(scene.out, "w") as out:
        json.dump(ids, out)
    fifo = os.open(scene.fifo, os.O_WRONLY)
    if hasattr(sys, "setswitchinterval"):
        sys.setswitchinterval(1000000)
    else:
        sys.setcheckinterval(1000000)
    thread.start_new_thread(time.sleep, (1000000,))
    # Not ready(), which lets go of the GIL.
    holding_the_gil.write(fifo, b"!", 1)
    holding_the_gil.pause()


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
    elif what == "passing":
        passing(scene)
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
