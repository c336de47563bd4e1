"""Writes which objects are in static memory: all that the collector's lists, modules and types lead to.

Python 2.7 and 3.6 to 3.15.
"""

import collections
import ctypes
import datetime
import decimal
import gc
import json
import os
import signal
import sys
import types
import xml.etree.ElementTree

import heaplib


def reachable():
    """Every object that can be found from inside."""
    seen = {}
    waiting = [gc.get_objects(), sys.modules, object, type, [None, True, False, Ellipsis, NotImplemented, (), "", b""]]
    waiting.append([chr(i) for i in range(128)] + [bytes(bytearray([i])) for i in range(256)] + list(range(-5, 257)))
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        waiting.append(type(one))
        waiting.extend(gc.get_referents(one))
        if isinstance(one, dict):
            # The collector leaves out keys where all of them are strings.
            waiting.extend(list(dict.keys(one)))
        elif isinstance(one, type):
            waiting.extend(type.__subclasses__(one))
        elif isinstance(one, types.CodeType):
            # Code is not the collector's.
            waiting.extend(getattr(one, name) for name in dir(one) if name.startswith("co_") and name != "co_lnotab")
    return seen


class Tall(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int)]


def main():
    # As tests/rig/target.py calls it.
    path, fifo, mode = sys.argv[1:4]
    kept = [collections.deque([1]), datetime.datetime.now(), decimal.Decimal(3), Tall(), xml.etree.ElementTree]
    everything = reachable()
    memory = heaplib.static_memory()
    found = []
    for address, one in everything.items():
        if any(start <= address < end for start, end in memory):
            found.append([address, heaplib.type_name(type(one)), sys.getsizeof(one)])
    with open(path, "w") as out:
        json.dump({"objects": found, "memory": memory}, out)
    if mode == "abort":
        os.kill(os.getpid(), signal.SIGABRT)
    heaplib.ready(fifo)
    while True:
        signal.pause()
    return kept


main()
