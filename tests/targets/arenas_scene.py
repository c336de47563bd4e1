"""Objects too large for pools that threads made, each in an arena of its own; some of the threads have ended."""

import gc
import os
import signal
import sys
import threading

import heaplib


class Large(object):
    """700 bytes."""
    __slots__ = ["slot%d" % i for i in range(80)]


class Long(tuple):
    pass


def work(made, done, go_on):
    # What a thread keeps is scattered over its heap.
    waste = []
    for i in range(60):
        made.append(Large())
        made.append(Long([[i]] * (100 + i)))
        waste.append(bytearray(1000 + 100 * i))
    done.set()
    go_on.wait()


def main():
    path, fifo, mode = sys.argv[1:4]
    made, threads = [], []
    for _ in range(6):
        done, go_on = threading.Event(), threading.Event()
        threads.append((threading.Thread(target=work, args=(made, done, go_on)), go_on))
        threads[-1][0].daemon = True
        threads[-1][0].start()
        done.wait()
    for thread, go_on in threads[::2]:
        go_on.set()
        thread.join()
    heaplib.count(gc.get_objects(), path + ".warm")
    gc.collect()
    gc.disable()
    child = os.fork()
    if child == 0:
        heaplib.count(gc.get_objects(), path)
        heaplib.end_child(fifo, mode)
    signal.pause()
    return made


main()
