# -*- coding: utf-8 -*-
"""What py-print is asked for: names and paths. Python 2.7 and 3.6 to 3.15.

    PROGRAM OUT_JSON READY_FIFO ask QUESTIONS_JSON

QUESTIONS_JSON is {thread name: [Python expression, ...]}. Once it has been looked at, the program evaluates them in the
innermost frames of those threads and writes {thread name: {expression: {"type", "id", "repr"} or {"error"}}}.
"""

from __future__ import print_function

import array
import collections
import functools
import json
import os
import sys
import threading
import time

import truthlib

PY2 = sys.version_info[0] == 2

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
            del lost  # noqa: F821
        park(1000000)
        return only_here, lost  # noqa: F823

    inner()
    shadow, later = 1, 2


class Slotted(object):
    __slots__ = ("left", "right", "__hidden")

    def __init__(self):
        self.left = 1
        self.__hidden = "in a slot"


class Base(object):
    kind = "of the class"

    def __init__(self):
        self.__secret = "of Base"
        self.plain = [1, 2]


class Prop(Base):
    def __init__(self):
        Base.__init__(self)
        self.__secret = "of Prop"
        self.__dict__["computed"] = "hidden by the property"
        self.cached = "in the dict"

    @property
    def computed(self):
        return 1

    @staticmethod
    def static(value):
        return value

    @classmethod
    def of_class(cls):
        return cls

    def method(self):
        return self

    def park_here(self, park):
        __local = "private too"

        def inner():
            park(1000000)
            return self, __local

        inner()


class Descriptor(object):
    def __get__(self, instance, owner):
        return 42


class Plain(object):
    described = Descriptor()


class Hooked(object):
    def __getattr__(self, name):
        return name


class Old:
    kind = "old or new"

    def __init__(self):
        self.value = 1

    def method(self):
        pass


class OldChild(Old):
    pass


Point = collections.namedtuple("Point", "x y")


def generate():
    yield 1


def function(first, second=[1], *rest):
    """Its documentation."""
    return first


function.note = "on the function"


def failed():
    try:
        try:
            {}["missing"]
        except KeyError:
            open("/nosuch/file")
    except EnvironmentError as e:
        return e


def zoo(park):
    slotted, prop, plain, hooked, old, old_child = Slotted(), Prop(), Plain(), Hooked(), Old(), OldChild()
    point, point_class, number, truth, pi, compound = Point(10, "why"), Point, 7, True, 1.5, complex(1.5, -2)
    error, simple = failed(), ValueError("bad", 1)
    simple.extra = "more"
    cell = ["in a cell"]
    closure = lambda: cell
    generator = generate()
    next(generator)
    partial = functools.partial(int, "11", base=2)
    numbers, cut, bound, builtin = range(3, 30, 4), slice(1, None, 2), prop.method, [].append
    text, wide, raw, array_ = u"h\xe9llo", u"\u4f60\u597d\U0001f600", b"a\0\xff", bytearray(b"xyz")
    words = "plain"
    odd_array = array.array("i", [1, 2])
    queue = collections.deque(range(100), 100)
    keys = {
        None: "none", True: "one", -5: "negative", 2**70: "big", -(2**70): "big negative", 1.5: "float", 2.0: "two",
        (1, "a"): "pair", (): "nothing", ((1, 2), None): "nested", b"by\xff": "bytes", "it's": "quote",
        "tab\t": "tab", u"\xe9\u20ac": "wide", "a]": "bracket", "x:y": "colon", 3: {"deep": [{"er": 1}]},
    }
    default = collections.defaultdict(list, key=[1])
    ordered = collections.OrderedDict([("one", 1), ("two", 2)])
    nested = [[1, [2, 3]], {"k": (4,)}]
    park(1000000)
    return locals()


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


SCENES = {"private": lambda park: Prop().park_here(park), "unbound": unbound, "zoo": zoo}

if __name__ == "__main__":
    main()
