# -*- coding: utf-8 -*-
"""Threads that are blocked in C functions, called in every way that Python has; OUT tells what each of them called.

OUT is {thread's name: what its innermost Python frame has called}: the text of Python's own repr, or [name] for a
function of a module, or null where it cannot be proven and nothing may be shown. No thread waits for lock A, whose
methods lie where a wrong reader finds them. Lock B is taken and never let go.
"""

import functools
import json
import os
import sys
import threading
import time

import truthlib

PY2 = sys.version_info[0] == 2
SCENES = []


def scene(expected, versions=None):
    """`expected`: "acquire", "__enter__", a function's name, or None."""
    def add(function):
        if not (versions == 3 and PY2):
            SCENES.append((function, expected))
        return function
    return add


def note(*_arguments, **_named):
    pass


@scene("__enter__")
def with_after_stale(a, b):
    for method in [a.acquire]:
        method(False)
    with b:
        pass


@scene("__enter__")
def with_in_with(a, b):
    with a:
        with b:
            pass


@scene("__enter__")
def with_of_attribute(a, b):
    class Owner(object):
        lock = b
    note(a.acquire, 1)
    with Owner().lock:
        pass


@scene("__enter__")
def with_in_a_finally(a, b):
    try:
        note(a.acquire)
    finally:
        with b:
            pass


@scene("acquire")
def attribute(a, b):
    b.acquire()


@scene("acquire")
def attribute_after_stale(a, b):
    for method in [a.acquire]:
        method(False)
    b.acquire()


@scene("acquire")
def variable(a, b):
    note(1, a.acquire)
    method = b.acquire
    method()


@scene("acquire")
def nested(a, b):
    note(a.acquire, [1, a.acquire], str(b.acquire()))


@scene("acquire")
def nested_variable(a, b):
    method = b.acquire
    note(a.acquire, {"a": a.acquire, "b": method()})


@scene("acquire")
def nested_deep(a, b):
    note(1, note(2, note(a.acquire, 3, b.acquire(1)), a.acquire), named=a.acquire)


@scene("acquire")
def descriptor(a, b):
    acquire = type(b).acquire
    note(a.acquire, acquire(b, True))


@scene("acquire")
def try_finally(a, b):
    try:
        note(a.acquire)
        b.acquire()
    finally:
        note()


@scene("acquire")
def finally_body(a, b):
    try:
        note(1, 2, 3, a.acquire, a.acquire(False))
    finally:
        b.acquire()


@scene("acquire")
def finally_after_return(a, b):
    try:
        return a.acquire
    finally:
        b.acquire()


@scene("acquire")
def finally_after_return_nested(a, b):
    try:
        return a.acquire
    finally:
        note(a.acquire, b.acquire())


@scene("acquire")
def finally_after_exception(a, b):
    try:
        note(1, 2, 3, a.acquire, a.acquire(False))
        raise ValueError(a)
    finally:
        note(a.acquire, b.acquire())


@scene("acquire")
def finally_after_continue(a, b):
    for _ in (1, 2):
        try:
            if note(a.acquire) is None:
                continue
        finally:
            note(a.acquire, b.acquire())


@scene("acquire")
def finally_after_break(a, b):
    for _ in (1, 2):
        try:
            if note(a.acquire) is None:
                break
        finally:
            note(a.acquire, b.acquire())


@scene("acquire")
def finally_in_finally(a, b):
    try:
        note(a.acquire)
    finally:
        try:
            note(a.acquire, 1, 2)
        finally:
            note(a.acquire, b.acquire())


@scene("acquire")
def after_finally(a, b):
    for _ in (1,):
        try:
            note(1, 2, 3, a.acquire)
        finally:
            note(4, 5, a.acquire)
        note(a.acquire, b.acquire())


@scene("acquire")
def except_handler(a, b):
    try:
        raise ValueError(a)
    except ValueError as error:
        note(a.acquire, error, b.acquire())


@scene("acquire")
def after_except(a, b):
    for _ in (1,):
        try:
            raise ValueError(a)
        except ValueError:
            note(a.acquire)
        note(a.acquire, b.acquire())


@scene("acquire")
def loop(a, b):
    for method in iter([a.acquire, b.acquire]):
        note(a.acquire, method())


@scene("acquire")
def loop_else(a, b):
    for method in [a.acquire]:
        method(False)
    else:
        while True:
            note(a.acquire, b.acquire())


@scene("acquire")
def generator(a, b):
    def values():
        note(a.acquire)
        yield 1
        yield note(a.acquire, b.acquire())
    for _ in values():
        pass


@scene("acquire")
def sent(a, b):
    def values():
        method = yield a.acquire
        note(a.acquire, method())
        yield 2
    made = values()
    next(made)
    made.send(b.acquire)


@scene("acquire")
def comprehension(a, b):
    return [method() for method in [a.acquire, b.acquire]]


@scene("acquire")
def nested_comprehension(a, b):
    return [a.acquire, [note(a.acquire, lock.acquire()) for lock in [a, b]]]


@scene("acquire")
def with_body(a, b):
    with a:
        note(a.acquire, b.acquire())


@scene("acquire")
def after_with(a, b):
    for _ in (1,):
        with a:
            note(a.acquire)
        note(a.acquire, b.acquire())


@scene("acquire")
def swallowed(a, b):
    class Swallow(object):
        def __enter__(self):
            return a.acquire

        def __exit__(self, *_rest):
            return True
    with Swallow():
        raise ValueError(a)
    note(a.acquire, b.acquire())


@scene("acquire")
def chained(a, b):
    return note(a.acquire, 1 < 2 < 3 and (b.acquire() or a.acquire))


@scene("acquire")
def star(a, b):
    arguments = (True,)
    note(a.acquire, b.acquire(*arguments))


@scene("acquire")
def star_star(a, b):
    note(a.acquire, b.acquire(*(), **{}))


@scene("acquire", versions=3)
def keyword(a, b):
    note(a.acquire, b.acquire(blocking=True))


@scene("acquire", versions=3)
def keyword_variable(a, b):
    method = b.acquire
    note(a.acquire, method(blocking=True, timeout=-1))


@scene("acquire")
def in_a_key(a, b):
    return sorted([1], key=lambda _: note(a.acquire, b.acquire()))


@scene("sorted")
def key(a, b):
    return note(a.acquire, sorted([1], key=b.acquire))


@scene(None)
def partial(a, b):
    note(a.acquire, functools.partial(b.acquire)())


@scene(None)
def partial_in_a_finally(a, b):
    try:
        note(1, 2, 3, 4, 5, a.acquire, a.acquire(False))
    finally:
        note(a.acquire, functools.partial(b.acquire)())


@scene(None)
def partial_after_return(a, b):
    try:
        return a.acquire
    finally:
        note(a.acquire, functools.partial(b.acquire)())


@scene(None)
def partial_after_bare_return(a, b):
    try:
        note(a.acquire)
        return
    finally:
        note(a.acquire, functools.partial(b.acquire)())


@scene(None)
def partial_after_exception(a, b):
    try:
        raise ValueError(a)
    finally:
        note(a.acquire, 1, a.acquire, 2, a.acquire, 3, functools.partial(b.acquire)())


@scene(None)
def iterated(a, b):
    note(a.acquire, list(iter(b.acquire, 5)))


@scene(None)
def unpacked(a, b):
    first, second = note(a.acquire) or iter(b.acquire, 5)
    return first, second


@scene(None)
def looped(a, b):
    for _ in iter(b.acquire, 5):
        note(a.acquire)


@scene("sleep")
def sleep(a, _b):
    note(a.acquire, time.sleep(1000000))


@scene("read")
def read(a, _b):
    reader, _writer = os.pipe()
    note(a.acquire, os.read(reader, 1))


def many(a, b):
    """More than 256 names and a jump over more than 256 instructions, for EXTENDED_ARG."""
    names = ["n%d" % number for number in range(300)]
    source = "def many(a, b, note):\n    for _ in (1,):\n"
    source += "".join("        {0} = a.acquire\n".format(name) for name in names)
    source += "        note({}, b.acquire())\n".format(", ".join(names[200:]))
    namespace = {}
    exec(compile(source, "<made up>", "exec"), namespace)
    namespace["many"](a, b, note)


def main():
    truth_scene = truthlib.Scene(sys.argv)
    truth = {}

    def start(function, expected):
        a, b = threading.Lock(), threading.Lock()
        b.acquire()
        if expected in ("acquire", "__enter__"):
            truth[function.__name__] = repr(getattr(b, expected))
        else:
            truth[function.__name__] = [expected] if expected else None
        truth_scene.start(function.__name__, lambda _park: function(a, b), lambda: None)
    for function, expected in SCENES:
        start(function, expected)
    start(many, "acquire")
    truthlib.settle(truth_scene.count)
    with open(truth_scene.out, "w") as out:
        json.dump(truth, out)
    truth_scene.ready()
    while True:
        truth_scene.wait()


if __name__ == "__main__":
    main()
