# -*- coding: utf-8 -*-
"""What is true of this process, written by the process itself just before it stands still. Python 2.7 and 3.6 to 3.15.

A target program builds a Scene, starts threads that park in C calls of their own, and calls `stop` in the main thread,
which stands still inside this file: its frames here are left out of every comparison, its caller's frame is compared.

    PROGRAM OUT_JSON READY_FIFO sleep|ask|abort|segv

sleep writes the truth and stands still; ask stands still first and writes the truth when a byte comes on stdin (so that
what is looked at before was not touched by the writing, which creates frame objects); abort and segv write it and die.

The truth is a JSON file (ASCII): {"version", "main_thread_id", "truthlib", "mode", "gil", "threads": [{"thread_id",
"native_id", "name", "frames": [{"function", "qualname", "file", "line", "args", "optimized", "partial", "locals":
{name: {"type", "id", "repr", "unordered"}}, "order"}]}]}, innermost frame first. "repr" is there where a value is built
of exact built-in types only and holds no cycle; "unordered" says that a set in it has more than one element. "order" is
the order of names that the code object gives; for a namespace (a module, a class body) it is that of the dict.
"partial" is a namespace of which Python 3.13 and later tell only a part: while one of its comprehensions runs, f_locals
has the comprehension's variables and not the dict (cpython PEP 709 and 667, Objects/frameobject.c frame_getlocals).
"""

from __future__ import print_function

import functools
import json
import os
import signal
import sys
import threading
import time
import traceback

PY2 = sys.version_info[0] == 2
CO_OPTIMIZED, CO_VARARGS, CO_VARKEYWORDS = 0x1, 0x4, 0x8
HERE = (lambda: None).__code__.co_filename

SCALARS = {type(None), bool, int, float, complex, str, bytes, bytearray, type(u""), type(1 << 100)}
SEQUENCES = {list, tuple}
SETS = {set, frozenset}
# A value with more parts than this is recorded by type and id only: the shared parts of a graph multiply in a repr.
MAX_PARTS = 200000

# A core holds every stack; the 8 MiB of the default, times 200, would take longer to write than all else takes.
SMALL_STACK = 256 * 1024

# The deepest target recurses 900 times, and the truth is written from its innermost call.
sys.setrecursionlimit(5000)
if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)


# ---- the truth --------------------------------------------------------------------------------------------------


class NotLiteral(Exception):
    pass


def examine(value, path, state):
    """Raises NotLiteral unless `value` is built of exact built-in types without a cycle; notes sets of two and more."""
    kind = type(value)
    state["parts"] += 1
    if state["parts"] > MAX_PARTS:
        raise NotLiteral
    if kind in SCALARS:
        return
    if id(value) in path:
        raise NotLiteral
    path = path | {id(value)}
    if kind in SEQUENCES:
        parts = value
    elif kind in SETS:
        parts = value
        if len(value) > 1:
            state["unordered"] = True
    elif kind is dict:
        parts = [part for item in value.items() for part in item]
    else:
        raise NotLiteral
    for part in parts:
        examine(part, path, state)


def text(value):
    """A str of Python 2 is bytes: what it names is read as UTF-8, as every other tool does."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def describe_value(value):
    truth = {"type": type(value).__name__, "id": id(value)}
    state = {"parts": 0, "unordered": False}
    try:
        examine(value, frozenset(), state)
    except NotLiteral:
        return truth
    truth["repr"] = text(repr(value))
    if state["unordered"]:
        truth["unordered"] = True
    return truth


def argument_names(code):
    """In the order of the signature: *args come before what can be given by keyword only, whose slots come first."""
    positional, keyword = code.co_argcount, getattr(code, "co_kwonlyargcount", 0)
    named = positional + keyword
    stars = list(code.co_varnames[named:named + bool(code.co_flags & CO_VARARGS)])
    after = code.co_varnames[named + len(stars):named + len(stars) + bool(code.co_flags & CO_VARKEYWORDS)]
    return list(code.co_varnames[:positional]) + stars + list(code.co_varnames[positional:named]) + list(after)


def describe_frame(frame):
    code = frame.f_code
    values = frame.f_locals
    optimized = bool(code.co_flags & CO_OPTIMIZED)
    if optimized:
        order = []
        for name in code.co_varnames + code.co_cellvars + code.co_freevars:
            if name in values and name not in order:
                order.append(name)
    else:
        order = [name for name in values if isinstance(name, str)]
    return {
        "function": text(code.co_name),
        "qualname": getattr(code, "co_qualname", None),
        "file": text(code.co_filename),
        "line": frame.f_lineno,
        "args": [text(name) for name in argument_names(code)],
        "optimized": optimized,
        "partial": not optimized and not isinstance(values, dict),
        "order": [text(name) for name in order],
        "locals": {text(name): describe_value(values[name]) for name in order},
    }


def describe_stack(frame):
    frames = []
    while frame is not None:
        frames.append(describe_frame(frame))
        frame = frame.f_back
    return frames


def write_truth(path, mode):
    named = {thread.ident: thread for thread in threading.enumerate()}
    threads = []
    for ident, frame in sys._current_frames().items():
        thread = named.get(ident)
        threads.append({
            "thread_id": ident,
            "native_id": getattr(thread, "native_id", None),
            "name": text(thread.name) if thread else None,
            "frames": describe_stack(frame),
        })
    truth = {
        "version": list(sys.version_info[:3]),
        "main_thread_id": main_thread_id,
        "truthlib": text(HERE),
        "mode": mode,
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "threads": threads,
    }
    with open(path + ".new", "w") as out:
        json.dump(truth, out)
    os.rename(path + ".new", path)


main_thread_id = threading.current_thread().ident


# ---- standing still ---------------------------------------------------------------------------------------------


def other_tasks():
    """{tid: (state, context switches)} of every thread but the main one, from the kernel."""
    tasks = {}
    for tid in os.listdir("/proc/self/task"):
        if int(tid) == os.getpid():
            continue
        with open("/proc/self/task/%s/status" % tid) as status:
            fields = dict(line.split(":", 1) for line in status.read().splitlines() if ":" in line)
        tasks[tid] = (
            fields["State"].split()[0],
            int(fields["voluntary_ctxt_switches"]),
            int(fields["nonvoluntary_ctxt_switches"]),
        )
    return tasks


def settle(count):
    """Returns once `count` other threads are proven to be blocked in their last call.

    While this thread sleeps nobody holds the GIL, so one that waited for it would have run: if all of them slept before
    and after, and the kernel counted no context switch between, they wait for something that does not come.
    """
    before = None
    while True:
        time.sleep(0.02)
        after = other_tasks()
        if len(after) == count and after == before and all(task[0] == "S" for task in after.values()):
            return
        if threading.active_count() - 1 > count:
            raise RuntimeError("more threads than were started here")
        before = after


def run_scene(function, park):
    """The body of every thread: a scene that fails or returns ends the process, so that it can not pass unseen."""
    try:
        function(park)
        print("scene %s came to its end" % function.__name__)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(3)


def park_lock():
    lock = threading.Lock()
    lock.acquire()
    return lock.acquire


def park_sleep():
    return functools.partial(time.sleep, 1000000)


def park_read():
    reader, _writer = os.pipe()
    return functools.partial(os.read, reader, 1)


def park_event():
    return threading.Event().wait


class Scene(object):
    def __init__(self, argv):
        self.out, self.fifo, self.mode = argv[1:4]
        self.extra = argv[4:]
        self.count = 0

    def start(self, name, function, park=park_lock, stack=SMALL_STACK):
        threading.stack_size(stack)
        thread = threading.Thread(target=run_scene, args=(function, park()), name=name)
        thread.daemon = True
        thread.start()
        self.count += 1

    def stop(self):
        settle(self.count)
        if self.mode == "ask":
            self.ready()
            self.wait()
        write_truth(self.out, self.mode)
        if self.mode == "abort":
            os.abort()
        elif self.mode == "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        self.ready()
        while True:
            self.wait()

    def ready(self):
        fifo = os.open(self.fifo, os.O_WRONLY)
        os.write(fifo, b"!")
        os.close(fifo)

    def wait(self):
        # The end of stdin is the end of who started us.
        if not os.read(0, 1):
            os._exit(0)
