# -*- coding: utf-8 -*-
"""Objects for test_damage.py to overwrite in a core. Where they are: OUT.places, {name: address}, beside the truth."""

import json
import sys
import time

import truthlib

CALLER = "def caller(function, park):\n    note = 'in the caller'\n    return function(park)\n"
PLACES = {}


class Odd(object):
    pass


class Named(object):
    pass


def victims(park):
    before = ["before", 1, 2.5]
    bad_items = [1, 2, 3]
    bad_size = [4, 5, 6]
    bad_length = "".join(["a string ", str(len(before))])
    bad_keys = dict((name, name) for name in ("one", "two"))
    bad_type = Odd()
    bad_name = Named()
    nested = [bad_items, "still here"]
    after = {"after": ["it", "all"]}
    for name in ("bad_items", "bad_size", "bad_length", "bad_keys", "bad_type", "bad_name"):
        PLACES[name] = id(locals()[name])
    del name
    PLACES["Named"] = id(Named)
    PLACES["frame"] = id(sys._getframe())
    park(1000000)
    return before, bad_size, bad_length, bad_keys, bad_type, bad_name, nested, after


def other(park):
    untouched = {"thread": ["other"]}
    park(1000000)
    return untouched


def main():
    names = {}
    # A name of the file's own: no other code object shares it.
    exec(compile(CALLER, "/made/up/" + "caller.py", "exec"), names)
    caller = names["caller"]
    PLACES["co_filename"] = id(caller.__code__.co_filename)
    PLACES["code"] = id(caller.__code__)
    scene = truthlib.Scene(sys.argv)

    def through(park):
        return caller(victims, park)

    scene.start("victims", through, lambda: time.sleep)
    scene.start("other", other, lambda: time.sleep)
    truthlib.settle(scene.count)
    with open(scene.out + ".places", "w") as out:
        json.dump(PLACES, out)
    scene.stop()


if __name__ == "__main__":
    main()
