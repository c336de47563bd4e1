"""200 threads of 12 calls each."""

import sys

import truthlib

THREADS = 200
CALLS = 12


def call(number, left, park):
    square = number * number
    words = ["thread", str(number), left]
    if left:
        call(number, left - 1, park)
    else:
        park()
    return square, words


def body(number):
    return lambda park: call(number, CALLS - 1, park)


def main():
    scene = truthlib.Scene(sys.argv)
    kinds = [truthlib.park_lock, truthlib.park_sleep, truthlib.park_read, truthlib.park_event]
    for number in range(THREADS):
        scene.start("W%d" % number, body(number), kinds[number % len(kinds)])
    scene.stop()


if __name__ == "__main__":
    main()
