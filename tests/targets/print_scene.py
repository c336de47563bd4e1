# -*- coding: utf-8 -*-
"""What py-print is asked for: names and paths. Python 2.7 and 3.6 to 3.15.

    PROGRAM OUT_JSON READY_FIFO ask QUESTIONS_JSON

QUESTIONS_JSON is {thread name: [Python expression, ...]}. Once it has been looked at, the program evaluates them in the
innermost frames of those threads and writes {thread name: {expression: {"type", "id", "repr"} or {"error"}}}.
"""

from __future__ import print_function

import json
import os
import sys
import threading
import time

import truthlib

shadow = "the global one"
later = "the global one"
lost = "the global one"


def unbound(park):
    def inner():
        if not park:
            print(shadow, later)
            only_here = 1
        try:
            raise ValueError("gone")
        except ValueError as lost:
            pass
        if sys.version_info < (3,):
            del lost
        park(1000000)
        return only_here, lost

    inner()
    shadow, later = 1, 2


def describe(expression, frame):
    try:
        value = eval(expression, frame.f_globals, dict(frame.f_locals))
    except Exception as e:
        return {"error": type(e).__name__}
    return {"type": type(value).__name__, "id": id(value), "repr": truthlib.text(repr(value))}


def main():
    scene = truthlib.Scene(sys.argv)
    for name, function in sorted(SCENES.items()):
        scene.start(name, function, lambda: time.sleep)
    truthlib.settle(scene.count)
    scene.ready()
    scene.wait()
    with open(scene.extra[0]) as source:
        questions = json.load(source)
    frames = sys._current_frames()
    idents = dict((thread.name, thread.ident) for thread in threading.enumerate())
    truth = {}
    for name, expressions in questions.items():
        frame = frames[idents[name]]
        truth[name] = dict((expression, describe(expression, frame)) for expression in expressions)
    with open(scene.out + ".new", "w") as out:
        json.dump(truth, out)
    os.rename(scene.out + ".new", scene.out)
    scene.ready()
    while True:
        scene.wait()


SCENES = {"unbound": unbound}

if __name__ == "__main__":
    main()
