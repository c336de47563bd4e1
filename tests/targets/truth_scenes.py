# -*- coding: utf-8 -*-
"""Every scene in a thread of its own, so that one look at one process sees all of them."""

import sys

import scenes_calls
import scenes_values
import truthlib

PARKS = [truthlib.park_lock, truthlib.park_sleep, truthlib.park_read, truthlib.park_event]
PY2 = sys.version_info[0] == 2


def scenes():
    found = scenes_values.SCENES + scenes_calls.SCENES
    for first, name in (
        ((3, 6), "scenes_python3"),
        ((3, 8), "scenes_python38"),
        ((3, 11), "scenes_python311"),
        ((3, 12), "scenes_python312"),
    ):
        if sys.version_info >= first:
            found += __import__(name).SCENES
    return found


def name_of(number, name):
    """Some names do not fit into the 15 bytes that the kernel keeps, and some are not ASCII."""
    if number % 5 == 0 and not PY2:
        return u"\u043f\u043e\u0442\u043e\u043a \u20ac \U0001f600 " + name
    return name


class Program(object):
    def __init__(self, scene):
        self.scene = scene

    def run(self, *names, **options):
        started = [name for name in names if name]
        return options["finish"](started)


def main(argv):
    scene = truthlib.Scene(argv)
    names = []
    for number, (name, function) in enumerate(scenes()):
        scene.start(name_of(number, name), function, PARKS[number % len(PARKS)])
        names.append(name)
    Program(scene).run(
        *names,
        finish=lambda started: (scene.stop(), started)
    )


if __name__ == "__main__":
    main(sys.argv)
