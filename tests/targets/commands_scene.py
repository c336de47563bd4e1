# -*- coding: utf-8 -*-
"""What the py-* commands are typed at. Threads, in this order: a nest of calls, a class body, a module's code, values.

The tests look for the comments "mark NAME" to know a line, so that adding a line here moves nothing there.
"""

import collections
import sys
import time

import truthlib

try:
    import enum
except ImportError:  # Python 2.7
    enum = None

GLOBAL = ["global", 1]
shadowed = "the global one"


class Pool(object):
    def __init__(self):
        self._queue = [{"k": 5, 7: "seven", (1, 2): "pair"}, {"k": 6}]
        self.shared = self._queue[0]


class Owner(object):
    kind = "of the class"

    def __init__(self):
        self.pool = Pool()
        self.count = 3

    def work(self, a, b, park, *rest, **options):
        free, shadowed = "from work", "the local one"

        def keyed(item):
            cell = {"item": item}
            if not item:
                later = None

            def reader():
                return cell
            park(1000000)  # mark keyed
            return free, reader, later if not item else None

        return sorted([a], key=keyed), shadowed  # mark work


def middle(owner, park):
    return owner.work(1, "x", park, 8, 9, option=True)  # mark middle


def nest(park):
    middle(Owner(), park)  # mark nest


def class_body(park):
    class Body(object):
        attribute = [1, 2]
        other = "in the body"
        park(1000000)  # mark Body

    return Body


def executed(park):
    exec(compile("first = 1\nsecond = [first]\npark(1000000)\n", "<made up>", "exec"), {"park": park})


class Slotted(object):
    __slots__ = ("first", "second", "never_set")

    def __init__(self):
        self.first, self.second = 1, "two"


class SlottedChild(Slotted):
    __slots__ = ("third",)

    def __init__(self):
        Slotted.__init__(self)
        self.third = 3.5


class DictChild(dict):
    pass


class ListChild(list):
    pass


class IntChild(int):
    pass


class StrChild(str):
    pass


class TupleChild(tuple):
    pass


Point = collections.namedtuple("Point", "x y")

if enum:
    class Colour(enum.Enum):
        RED = 1
        GREEN = "g"


def values(park):
    slotted, slotted_child = Slotted(), SlottedChild()
    dict_child, list_child, tuple_child = DictChild(key="value"), ListChild([1, 2, 3]), TupleChild((4, 5))
    int_child, str_child = IntChild(42), StrChild("text")
    list_child.note = "on the instance"
    point = Point(10, "why")
    colour = Colour.RED if enum else None
    ordered = collections.OrderedDict([("one", 1), ("two", 2)])
    number, pi, text, nothing = 10 ** 30, 3.25, u"h\xe9llo \u20ac", None
    cyclic = [1]
    cyclic.append(cyclic)
    shared = [1]
    twice = [shared, shared]
    error = ValueError("boom", 3)
    escape = "\x1b[31mred\x07\r\n"
    long_text = "x" * 5000
    park(1000000)  # mark values
    return (slotted, slotted_child, dict_child, list_child, tuple_child, int_child, str_child, point, colour, ordered,
            number, pi, text, nothing, cyclic, twice, error, escape, long_text)


def main():
    scene = truthlib.Scene(sys.argv)
    for name, function in (("nest", nest), ("body", class_body), ("executed", executed), ("values", values)):
        scene.start(name, function, lambda: time.sleep)
    scene.stop()


if __name__ == "__main__":
    main()
