"""A thread in a subinterpreter: commands_interpreters.py OUT FIFO sleep.

The thread "outer" calls into an interpreter of its own, whose code calls `inner` and stands still there.
"""

import sys
import time

import truthlib

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

CODE = """
import time
def inner(argument):
    local = [argument]
    time.sleep(1000000)
inner("from the subinterpreter")
"""


def outer(park):
    number = interpreters.create()
    run = getattr(interpreters, "run_string", None) or interpreters.exec
    run(number, CODE)  # mark outer


def main():
    scene = truthlib.Scene(sys.argv)
    scene.start("outer", outer, stack=0)
    truthlib.settle(1)
    scene.ready()
    time.sleep(1000000)


if __name__ == "__main__":
    main()
