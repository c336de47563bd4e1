# -*- coding: utf-8 -*-
"""Computes for ever, in few known chains of calls: sampled.py OUT FIFO sleep. Tells through the FIFO when it has begun.

CHAINS of test_sampling.py names who may call whom, on which line ("call NAME" at the end of a line).
"""

import sys
import threading
import time


def leaf(number):
    total = 0
    for step in range(number % 7 + 3):
        total += step * number
    return total


def recurse(depth):
    if depth == 0:
        return leaf(depth)  # call leaf
    return recurse(depth - 1) + 1  # call recurse


def produce(count):
    for number in range(count):
        yield leaf(number)  # call leaf


def consume(count):
    total = 0
    for value in produce(count):  # call produce
        total += value
    return total


def key_of(value):
    return leaf(value)  # call leaf


def order(values):
    return sorted(values, key=key_of)  # call key_of


class Shape(object):
    def __init__(self, size):
        self.size = size

    @property
    def area(self):
        return leaf(self.size)  # call leaf

    def __add__(self, other):
        return Shape(leaf(self.size))  # call __init__ leaf


def shapes():
    shape = Shape(3) + Shape(4)  # call __init__ __add__
    return shape.area  # call area


def spin():
    while True:
        recurse(6)  # call recurse
        consume(5)  # call consume
        order([3, 1, 2])  # call order
        shapes()  # call shapes


def main():
    turning = []

    def worker():
        turning.append(1)
        spin()  # call spin

    thread = threading.Thread(target=worker, name="worker")
    thread.daemon = True
    thread.start()
    while not turning:
        time.sleep(0.01)
    # The library stays out of the stacks: its own calls are no chains of ours.
    with open(sys.argv[2], "wb") as fifo:
        fifo.write(b"!")
    del fifo
    spin()  # call spin


if __name__ == "__main__":
    main()  # call main
