"""Objects to be found: the process knows their addresses, texts, sizes, counts of references and attributes.

It writes them before it stands still; nothing that was written about changes after that.
"""

import datetime
import gc
import json
import os
import signal
import sys

import heaplib

PYTHON2 = sys.version_info[0] == 2


class Node(object):
    kind = "shared by all nodes"

    def __init__(self, number, name):
        self.number = number
        self.name = name

    @property
    def computed(self):
        return self.number


class Leaf(Node):
    pass


class Slotted(object):
    __slots__ = ("number", "text")

    def __init__(self, number):
        self.number = number
        self.text = "slotted-%d" % number


class Zone(datetime.tzinfo):
    pass


class Wide(object):
    def __init__(self):
        for i in range(60):
            setattr(self, "wide_%d" % i, i)


class Old:
    def __init__(self, number):
        self.number = number


def fresh(text):
    """A string that nobody shares."""
    return "".join([text[:3], text[3:]])


def build():
    made = {}
    made["nodes"] = [Node(i + 100000, fresh("node-%d" % i)) for i in range(3000)]
    made["leaves"] = [Leaf(i + 200000, fresh("leaf-%d" % i)) for i in range(50)]
    made["slotted"] = [Slotted(i + 300000) for i in range(40)]
    made["wide"] = [Wide()]
    made["old"] = [Old(i + 400000) for i in range(5)]
    made["texts"] = [fresh("find-me-%d" % i) for i in range(25)]
    # ASCII, Latin-1, two and four bytes a character; longer than a pool's largest block too.
    made["wides"] = [u"l\xe4tin-find", u"\u20acuro-find", u"\U0001f600-find", u"x" * 3000 + u"\u20ac-find-end"]
    made["long"] = [fresh("long-" + "y" * 300000 + "-find-end")]
    made["bytes"] = [b"raw-find-%d" % i if not PYTHON2 else bytes("raw-find-%d" % i) for i in range(6)]
    made["numbers"] = [int("87654321%d" % i) for i in range(7)]
    made["huge"] = [7**200 + i for i in range(3)]
    made["floats"] = [float("4711.%d25" % i) for i in range(4)]
    made["tuple"] = [tuple([i, "x"]) for i in range(3)]
    made["dict"] = [{"a": i, "b": [i]} for i in range(3)]
    made["list"] = [list(range(n)) for n in (0, 5, 200000)]
    made["functions"] = [build]
    made["classes"] = [Node, Slotted]
    # Without a zone they have no place for one.
    made["times"] = [datetime.time(1, i, tzinfo=zone) for i in range(30) for zone in (None, Zone())]
    made["datetimes"] = [datetime.datetime(1987, 1, 1, 1, i, tzinfo=zone) for i in range(30) for zone in (None, Zone())]
    made["untracked"] = [tuple([fresh("untr-%d" % i)]) for i in range(2)]
    return made


def duplicates(made):
    """Equal values that are different objects: their texts, and how many of each."""
    counts = {}
    for i in range(5):
        copies = 10 + 7 * i
        text = "dup-mark-%d" % i
        made.setdefault("copies", []).append([fresh(text) for _ in range(copies)])
        # The key of the dict is one more.
        counts[text] = copies + 1
    long = "dup-long-" + "z" * 200000
    made["copies"].append([fresh(long) for _ in range(4)])
    # As long, and different in the last character only.
    made["copies"].append([fresh(long[:-1] + "a")])
    counts["dup-long-"] = 4
    made["copies"].append([u"".join([u"dup-\u20ac", u"-mark"]) for _ in range(6)])
    made["copies"].append([int("998877665544%d" % 3) for _ in range(12)])
    made["copies"].append([float("1234.%d" % 5625) for _ in range(9)])
    made["shared"] = [object(), object()]
    made["copies"].append([tuple(made["shared"]) for _ in range(8)])
    made["copies"].append([bytes(bytearray(b"dup-bytes-mark")) for _ in range(11)])
    return counts


def describe(made):
    truth = {}
    for group, objects in made.items():
        if group in ("copies", "shared"):
            continue
        found = truth[group] = []
        for i in range(len(objects)):
            # Only the list, and the argument of getrefcount, know it here.
            count = sys.getrefcount(objects[i]) - 1
            one = objects[i]
            if group == "old" and PYTHON2:
                name = "__main__.Old"
            else:
                name = heaplib.type_name(type(one))
            text = ascii_repr(one) if group not in ("nodes", "leaves", "slotted", "wide", "old") else None
            found.append(
                {
                    "address": hex(id(one)).rstrip("L"),
                    "type": name,
                    "size": sys.getsizeof(one),
                    "references": count,
                    "tracked": gc.is_tracked(one),
                    "repr": text if text is None or len(text) < 1000 else None,
                    "mro": [heaplib.type_name(c) for c in type(one).__mro__],
                    "attributes": sorted(vars(one)) if group in ("nodes", "leaves", "wide", "old") else None,
                }
            )
            del one
    return truth


def ascii_repr(one):
    return repr(one) if PYTHON2 else ascii(one)


def main():
    path, fifo, mode = sys.argv[1:4]
    made = build()
    counts = duplicates(made)
    gc.collect()
    gc.disable()
    truth = {
        "objects": describe(made),
        "duplicates": counts,
        "python2": PYTHON2,
        "none": hex(id(None)).rstrip("L"),
        "items": [hex(id(one)).rstrip("L") for one in made["shared"]],
    }
    with open(path, "w") as out:
        json.dump(truth, out)
    if mode == "sleep":
        heaplib.ready(fifo)
        signal.pause()
    os.abort()
    return made


main()
