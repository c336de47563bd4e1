"""Objects in malloc's chunks that were given back as they were: what they were is still to be read there.

Copies of objects are made in chunks of malloc, some of which are freed. Only how many were not freed is the truth.
"""

import ctypes
import json
import signal
import sys
import threading

import heaplib

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

#: PyGC_Head, which lies before the object: 24 bytes, which are aligned to 32, before 3.8.
HEAD = 16 if sys.version_info >= (3, 8) else 32
KEPT, FREED = 5, 30
#: What a thread's list of one size takes: 16 since glibc 2.43.
CACHED = 7


class Large(tuple):
    """For the lists of threads (tcache)."""

    __slots__ = ()


class Small(tuple):
    """The others of these are on the fast bins."""

    __slots__ = ()


def copies(one, number):
    """Of an object with its head: where they are."""
    size = HEAD + one.__sizeof__()
    made = []
    for _ in range(number):
        made.append(libc.malloc(size))
        libc.memcpy(made[-1], id(one) - HEAD, size)
    return made


def give_back(chunks):
    for chunk in chunks:
        libc.free(chunk)


def work(one, ready, go_on, done):
    """What another thread frees is on a list of its own."""
    chunks = copies(one, KEPT + CACHED)
    ready.set()
    go_on.wait()
    give_back(chunks[:CACHED])
    done.set()
    threading.Event().wait()


def main():
    path, fifo, _ = sys.argv[1:4]
    large, small = Large(range(70)), Small(range(8))
    events = [[threading.Event() for _ in range(3)] for _ in range(2)]
    for three in events:
        thread = threading.Thread(target=work, args=tuple([large] + three))
        thread.daemon = True
        thread.start()
        three[0].wait()
    made = [(copies(one, KEPT + number), number, one) for one, number in ((large, CACHED), (small, FREED))]
    # The originals count too.
    truth = {"__main__.Large": 1 + 3 * KEPT, "__main__.Small": 1 + KEPT}
    with open(path, "w") as out:
        json.dump(truth, out)
    for _, go_on, done in events:
        go_on.set()
        done.wait()
    for chunks, number, _ in made:
        give_back(chunks[:number])
    heaplib.ready(fifo)
    signal.pause()
    return made


main()
