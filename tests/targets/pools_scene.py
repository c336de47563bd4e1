"""Pools in every state: full, with holes, almost empty, given back; blocks of all sizes, of objects and of tables."""

import signal
import sys

import heaplib


def make(number):
    """Blocks of 16 to 512 bytes."""
    return [bytes(bytearray(number % 480)), (number,) * (number % 60), {number: str(number)}, [number] * (number % 70)]


def main():
    kept = [make(number) for number in range(6000)]
    # Every third is kept of the first half: holes everywhere. Of the second half one in 97: pools almost empty, and
    # arenas that are given back.
    kept[:3000] = [one for number, one in enumerate(kept[:3000]) if number % 3 == 0]
    kept[1000:] = [one for number, one in enumerate(kept[1000:]) if number % 97 == 0]
    with open(sys.argv[1], "w") as out:
        out.write("{}")
    heaplib.ready(sys.argv[2])
    signal.pause()
    return kept


main()
