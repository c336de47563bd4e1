"""What objects have beside their own blocks in a free-threaded build, from the sizes that they say and mimalloc's."""

import array
import json
import signal
import sys

import heaplib


class List(list):
    __slots__ = ()


class Dict(dict):
    __slots__ = ()


class Set(set):
    __slots__ = ()


class Bytes(bytearray):
    __slots__ = ()


class Doubles(array.array):
    __slots__ = ()


def block(size):
    """Multiples of 16 up to 64, then four sizes from one power of two to the next."""
    if size <= 64:
        return 8 if size <= 8 else (size + 15) // 16 * 16
    power = 64
    while size > 2 * power:
        power *= 2
    return next(power * part // 4 for part in (5, 6, 7, 8) if size <= power * part // 4)


def main():
    path, fifo = sys.argv[1:3]
    kept, truth = [], dict.fromkeys(("List", "Dict", "Set", "Bytes", "Doubles"), 0)

    def keep(one, size):
        kept.append(one)
        truth[type(one).__name__] += block(size) if size else 0

    def beside(one):
        return one.__sizeof__() - type(one).__basicsize__

    for number in (1, 3, 9, 50, 700, 2500):
        grown = List()
        for _ in range(number):
            grown.append(None)
        # Before its items stands how many there is room for.
        keep(grown, beside(grown) + 8)
        for one in (Set(range(number)), Dict.fromkeys(range(number))):
            keep(one, beside(one))
        one = Bytes(number)
        keep(one, one.__alloc__())
        keep(Doubles("d", [0.0] * number), 8 * number)
    with open(path, "w") as out:
        json.dump(truth, out)
    heaplib.ready(fifo)
    signal.pause()


main()
