"""One library session per target, made at the first question and dropped when the target is another one."""

import gdb

from . import hints, native, parameters, styles, target

_sessions = {}
#: Sessions that answer from a copy of a process that runs on, by inferior, and what they were asked about when the
#: copy was taken: its thread and frame are where names are looked for.
_copies = {}
#: The Python frame that the user has selected: {thread: (index, stack pointer of GDB's frame then)}.
_selected = {}


def current():
    """The session of the selected inferior."""
    inferior = gdb.selected_inferior()
    key = target.key(inferior)
    if key is None:
        if inferior.num in _copies:
            raise gdb.GdbError("The process was detached. Its copy answers what looks at the heap: py-heap and others.")
        raise gdb.GdbError(hints.no_target())
    known = _sessions.get(inferior.num)
    if known and known[0] == key:
        return known[1]
    close(inferior.num)
    description, read = target.description(inferior)
    session = native.Session(description, read)
    _sessions[inferior.num] = (key, session)
    return session


def ask(command, everything=False, native=False, **options):
    """Put a question about the selected thread, or about all threads, and return the answer.

    With `native`, GDB's own backtraces go with it: a first one can take GDB most of a second.
    """
    session = current()
    request = _about(session, everything, native)
    request.update(command=command, options=options)
    answer = session.query(request)
    if "need" in answer:
        for one in request["threads"]:
            if one["gdb"] in answer["need"]["native"]:
                one["native"] = target.native_frames(answer["need"]["variables"])
        answer = session.query(request)
    if "select" in answer:
        select(answer["select"])
    return answer


def _about(session, everything, native):
    """What a question is about: the selected thread, or all; the selected frame; the user's settings."""
    inferior = gdb.selected_inferior()
    thread = gdb.selected_thread()
    if thread is not None and thread.is_running():
        # No event tells that it has run on since the last question: what is known is of then.
        session.invalidate()
    remarks = []
    threads = target.threads(inferior, everything, native, remarks)
    if thread is not None and not thread.is_valid():
        raise gdb.GdbError("GDB has lost the target: its connection is gone, or it has ended.")
    request = {
        "threads": threads,
        "thread": thread.num if thread else None,
        "frame": selected_frame(),
        "native_sp": target.selected_stack_pointer(),
        "stock": parameters.stock(),
        "substitute": target.substitutes(),
        "directories": target.directories(),
        "remarks": remarks,
        **styles.for_request(),
    }
    if request["stock"]:
        request["level"] = target.selected_level()
    return request


def ask_plain(command, **options):
    """Put a question that has nothing to do with threads: cheap enough for every value that GDB prints.

    GDB asks in the middle of an unwind: finding out anew what the target is would run GDB commands there, which
    GDB 10 answers with an internal error. Events close a session whose target is gone.
    """
    known = _sessions.get(gdb.selected_inferior().num)
    return (known[1] if known else current()).query({"command": command, "options": options, "stock": is_stock()})


def ask_heap(command, named=False, **options):
    """Put a question about the heap; with `named`, about what has a name in the selected frame.

    Where there is a copy of the process, it answers.
    """
    session, about = _copies.get(gdb.selected_inferior().num, (None, None))
    if session is None:
        return ask(command, **options) if named else ask_plain(command, **options)
    request = {**about, **styles.for_request()} if named else {"stock": is_stock()}
    return session.query({**request, "command": command, "options": options})


def copy_and_detach(**options):
    """Take a copy of the process, let it run on, and return what the library says of the copy."""
    session = current()
    inferior = gdb.selected_inferior()
    about = _about(session, True, False)
    answer = session.query({**about, "command": "copy", "options": options})
    drop_copy(inferior.num)
    del _sessions[inferior.num]
    _copies[inferior.num] = session, about
    try:
        gdb.execute("detach", to_string=True)
    except gdb.error as e:
        drop_copy(inferior.num)
        raise gdb.GdbError("GDB cannot detach (%s): the copy is dropped." % e)
    return answer


def drop_copy(number):
    """Forget the copy of the process of inferior `number`; say whether there was one."""
    session, _ = _copies.pop(number, (None, None))
    if session is not None:
        session.close()
    return session is not None


def names(text):
    """The names and paths that complete `text` in the selected Python frame."""
    return ask("names", name=text)["data"]


def heap_names(text):
    """The same, where the heap is looked at."""
    return ask_heap("names", named=True, name=text)["data"]


def is_stock():
    """Whether the words of CPython's own script are wanted."""
    return parameters.stock()


def selected_frame():
    """The index of the Python frame that was selected here, if GDB's own selection has not changed since."""
    thread = gdb.selected_thread()
    index, sp = _selected.get(thread.global_num if thread else None, (None, None))
    return index if index is not None and sp == target.selected_stack_pointer() else None


def select(selection):
    """Remember the selected Python frame, and select the C frame that runs it, where there is one."""
    thread = gdb.selected_thread()
    if selection.get("level") is not None:
        target.select_level(selection["level"])
    elif selection.get("sp") is not None:
        target.select_native(selection["sp"])
    _selected[thread.global_num] = (selection.get("frame"), target.selected_stack_pointer())


def close(number):
    """Forget the session of inferior `number`."""
    known = _sessions.pop(number, None)
    if known:
        known[1].close()


def close_all():
    """Forget everything."""
    for number in list(_sessions):
        close(number)
    _selected.clear()


def drop_copies():
    """Forget all copies."""
    for number in list(_copies):
        drop_copy(number)


def _on_change(_event=None):
    """The target has run, or its memory was changed: what is known of it is stale."""
    _selected.clear()
    for _, session in _sessions.values():
        session.invalidate()


def _on_exit(event):
    _selected.clear()
    close(event.inferior.num if getattr(event, "inferior", None) else gdb.selected_inferior().num)


def _on_new_objfile(_event):
    # The interpreter may only now have been mapped, or the process may have called exec.
    close_all()


_EVENTS = [
    ("cont", _on_change),
    ("stop", _on_change),
    ("memory_changed", _on_change),
    ("inferior_call", _on_change),
    ("exited", _on_exit),
    ("new_objfile", _on_new_objfile),
    ("clear_objfiles", _on_new_objfile),
]


def connect_events():
    """Listen for what makes answers stale."""
    for name, handler in _EVENTS:
        getattr(gdb.events, name).connect(handler)


def disconnect_events():
    """Stop listening."""
    for name, handler in _EVENTS:
        try:
            getattr(gdb.events, name).disconnect(handler)
        except (ValueError, gdb.error):
            pass
