# -*- coding: utf-8 -*-
"""Text that would do something to a terminal, wherever a program can put text: names, files, values, keys, types.

OUT.names: {what: repr}: what the text is.
"""

import json
import os
import sys
import threading
import time

import truthlib

PY2 = sys.version_info[0] == 2
ESCAPE = "\x1b[2J\x1b[31m\x07\x00\r\n\x9b1m\x7f"
BIDI = u"\u202eevil\u2066\u200e\ufeff\u2028"


def make(name):
    """A function whose code has this name, file and variable."""
    code = compile("def f(argument, park):\n    local = argument\n    park(1000000)\n    return local\n", name, "exec")
    space = {}
    exec(code, space)
    function = space["f"]
    if not PY2:
        function.__code__ = function.__code__.replace(co_name=name) if sys.version_info >= (3, 8) else function.__code__
    function.__name__ = str(name)
    return function


def values():
    hostile_type = type(str("T\x1b[31m\nnewline"), (object,), {})
    thing = hostile_type()
    setattr(thing, "attr\x1b[2J\n", "value\x1b[2J")
    big = "x" * (100 << 20)
    found = {
        "escape": ESCAPE,
        "bidi": BIDI,
        "surrogate": u"a\ud800b\udcff",
        "raw": b"\x1b[2J\x00\xff\n",
        "keys": {ESCAPE: BIDI, u"k\u202e": b"\x1b"},
        "error": ValueError(ESCAPE, BIDI),
        "big": big,
        "pieces": [big, big],
    }
    return thing, found


def hostile(park):
    thing, found = values()
    escape, bidi, surrogate, raw = (found[name] for name in ("escape", "bidi", "surrogate", "raw"))
    keys, error, big, pieces = (found[name] for name in ("keys", "error", "big", "pieces"))
    make("file\x1b[2J\n\x07.py")((thing, escape, bidi), park)
    return surrogate, raw, keys, error, big, pieces


def main():
    scene = truthlib.Scene(sys.argv)
    scene.start("thread\x1b[2J\nname\x07", hostile, lambda: time.sleep)
    truthlib.settle(1)
    with open(scene.out, "w") as out:
        json.dump({"thread": "thread\x1b[2J\nname\x07", "pid": os.getpid()}, out)
    scene.ready()
    threading.Event().wait()


if __name__ == "__main__":
    main()
