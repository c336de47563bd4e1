# -*- coding: utf-8 -*-
"""What py-print is asked for: names and paths. Python 2.7 and 3.6 to 3.15.

    PROGRAM OUT_JSON READY_FIFO ask QUESTIONS_JSON

QUESTIONS_JSON is {thread name: [Python expression, ...]}. Once it has been looked at, the program evaluates them in the
innermost frames of those threads and writes {thread name: {expression: {"type", "id", "repr"} or {"error"}}}.
"""

from __future__ import print_function

import array
import collections
import datetime
import decimal
import functools
import json
import os
import sys
import threading
import time

import truthlib

try:
    import enum
except ImportError:  # Python 2.7
    enum = None

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


class Own(list):
    def __getitem__(self, index):
        return "not what is stored"


class Made(dict):
    def __missing__(self, key):
        return "made of " + key


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
    own, made = Own([1]), Made(there=1)
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


if enum:
    class Colour(enum.Enum):
        RED = 1
        NAMED = "text"
        NESTED = (1, [2])

    class Level(enum.IntEnum):
        LOW = 7

    class Perm(enum.Flag):
        READ = 4


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(hours=2)


class Moment(datetime.datetime):
    pass


class Money(decimal.Decimal):
    pass


class Queue(collections.deque):
    pass


class Default(collections.defaultdict):
    pass


class NamedChild(Point):
    pass


def kinds(park):
    D, T, DT, TD = datetime.date, datetime.time, datetime.datetime, datetime.timedelta
    dates = [D(2026, 11, 25), D.min, D.max]
    moments = [DT(2026, 11, 25, 13, 0), DT(2026, 11, 25, 13, 0, 7), DT(2026, 11, 25, 13, 0, 0, 5), DT.min, DT.max]
    times = [T(0, 0), T(13, 5), T(13, 5, 9), T(13, 5, 0, 999999), T.max]
    spans = [TD(0), TD(1), TD(0, 1), TD(0, 0, 1), TD(1, 2, 3), TD(-1, 5), TD.min, TD.max, TD(3, 0, 4)]
    zones, folded = [], []
    if not PY2:
        zones = [datetime.timezone.utc, datetime.timezone(TD(hours=-5)), datetime.timezone(TD(seconds=3600), "CET"),
                 datetime.timezone(TD(0), "zero"), DT(2026, 11, 25, tzinfo=datetime.timezone.utc),
                 T(1, 2, tzinfo=datetime.timezone(TD(minutes=30)))]
        folded = [DT(2026, 10, 25, 2, 30, fold=1), T(2, 30, fold=1, tzinfo=datetime.timezone.utc),
                  DT(2026, 10, 25, 2, 30, fold=1, tzinfo=datetime.timezone.utc), T(2, 30, fold=1)]
    zoned, moment = DT(2026, 11, 25, 13, tzinfo=Zone()), Moment(2026, 11, 25, 13, 5)
    texts = ("0", "-0", "1.10", "-12.345", "1E+3", "1E-7", "0.000001", "0E-7", "0E+2", "Infinity", "-Infinity", "NaN",
             "sNaN", "NaN123", "-sNaN4", "123456789012345678901234567890.5", "1E+400000", "0.00",
             "9" * 100, "1" + "0" * 60)
    decimals = [decimal.Decimal(text) for text in texts]
    money = Money("1.5")
    deques = [collections.deque(), collections.deque([], 0), collections.deque([1, 2, 3], maxlen=5),
              collections.deque([1]), collections.deque([1, 2], 2)]
    deque_child = Queue([1], 3)
    point, child, empty = Point(10, "why"), NamedChild(1, [2]), collections.namedtuple("Empty", "")()
    child.note = "more"
    version = sys.version_info
    colours = [Colour.RED, Colour.NAMED, Colour.NESTED, Level.LOW, Perm.READ] if enum else []
    default, no_factory = collections.defaultdict(list, k=[1]), collections.defaultdict(None, k=1)
    default_child = Default(int, k=1)
    partial = functools.partial(int, "11", base=2)
    ordered = collections.OrderedDict([("z", 1), ("a", 2), ("m", 3)])
    ordered["z"] = ordered.pop("z")
    ordered.note = "an attribute"
    # Python classes with the names of C types.
    fakes = [type(name, (), {})() for name in ("collections.deque", "datetime.datetime", "decimal.Decimal",
                                               "datetime.timedelta", "collections.defaultdict", "functools.partial")]
    odd = Plain()
    odd.__dict__.update({5: 6, None: 7, (1, "a"): 8, "name": 9})
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


SCENES = {"kinds": kinds, "private": lambda park: Prop().park_here(park), "unbound": unbound, "zoo": zoo}

if __name__ == "__main__":
    main()
