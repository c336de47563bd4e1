"""Is what `py-bt --all --locals --json` says equal to what the target wrote about itself?

`differences` returns one line for each difference, so that one run shows all of them.
"""

import re

MASK = (1 << 64) - 1
# Values whose repr is no longer than this are never cut.
NEVER_CUT = 200
# A cut value ends in dots, perhaps with a word about it, perhaps with what closes the containers around it.
CUT_MARK = re.compile(r"(\.\.\.|\u2026)(\(truncated\)|\[[^]]*\])?[\])}>'\"]*$")
# So many lines of one failure help; the rest is a number.
MAX_LINES = 60


def check(truth, answer, holds_gil, what=""):
    """`holds_gil` is the pthread id of the thread that must hold it, 0 for none."""
    lines = differences(truth, answer, holds_gil)
    if lines:
        shown = "\n".join(lines[:MAX_LINES])
        more = f"\n... and {len(lines) - MAX_LINES} more" if len(lines) > MAX_LINES else ""
        raise AssertionError(f"{what}: {len(lines)} differences from the truth\n{shown}{more}")


def differences(truth, answer, holds_gil):
    lines = []
    said = {}
    for thread in answer["threads"]:
        ident = int(thread["thread_id"], 16) if thread.get("thread_id") else None
        if ident in said:
            lines.append(f"thread {thread['thread_id']} is listed twice")
        said[ident] = thread
    sources = Sources()
    for thread in truth["threads"]:
        ident = thread["thread_id"] & MASK
        where = f"thread {ident:#x} {thread['name']!r}"
        if ident not in said:
            lines.append(f"{where}: missing")
            continue
        answered = said.pop(ident)
        compare_thread(where, truth, thread, answered, lines)
        if answered.get("holds_gil") is not (truth["gil"] and ident == holds_gil & MASK):
            lines.append(f"{where}: holds_gil is {answered.get('holds_gil')!r}")
        compare_frames(where, truth, thread, answered, sources, lines)
    for thread in said.values():
        frames = python_frames(thread)
        if frames:
            lines.append(f"thread {thread.get('thread_id')}: not in the truth, with frames {brief(frames)}")
    return lines


def compare_thread(where, truth, thread, answered, lines):
    if thread["name"] is not None and answered.get("name") != thread["name"]:
        lines.append(f"{where}: name is {answered.get('name')!r}")
    # Before 3.11 the interpreter keeps no kernel thread id: then it is the debugger's that has to be right.
    native = answered.get("native_thread_id")
    if native is None and truth["version"] < [3, 11]:
        native = answered.get("lwp")
    if thread["native_id"] is not None and native != thread["native_id"]:
        lines.append(f"{where}: native_thread_id is {native!r}, truth {thread['native_id']!r}")
    if answered.get("interpreter") != 0:
        lines.append(f"{where}: interpreter is {answered.get('interpreter')!r}")


def python_frames(thread):
    return [frame for frame in thread["frames"] if frame["kind"] == "python"]


def brief(frames):
    """Enough to see at a glance which frame is too many: "leaf:41 < branch:16"."""
    parts = [f"{frame.get('function')}:{frame.get('line')}" for frame in frames]
    return " < ".join(parts if len(parts) <= 24 else parts[:12] + [f"({len(parts) - 24} more)"] + parts[-12:])


def without_truthlib(frames, truth, is_main):
    """The main thread stands inside truthlib, on another line when it is looked at than when it wrote."""
    start = 0
    while is_main and start < len(frames) and frames[start].get("file") == truth["truthlib"]:
        start += 1
    return frames[start:]


def compare_frames(where, truth, thread, answered, sources, lines):
    is_main = thread["thread_id"] == truth["main_thread_id"]
    wanted = without_truthlib(thread["frames"], truth, is_main)
    all_python = python_frames(answered)
    indexes = [frame.get("index") for frame in all_python]
    if indexes != list(range(len(indexes))):
        lines.append(f"{where}: frame indexes are {indexes[:40]}")
    got = without_truthlib(all_python, truth, is_main)
    if [frame["function"] for frame in wanted] != [frame.get("function") for frame in got]:
        lines.append(
            f"{where}: {len(got)} frames, truth {len(wanted)}\n    said  {brief(got)}\n    truth {brief(wanted)}"
        )
        if len(wanted) != len(got):
            return
    for number, (right, frame) in enumerate(zip(wanted, got, strict=True)):
        compare_frame(f"{where} #{number} {right['function']}", right, frame, sources, lines)


def compare_frame(where, right, frame, sources, lines):
    for key in ("function", "qualname", "file", "line"):
        if right[key] is not None and frame.get(key) != right[key]:
            lines.append(f"{where}: {key} is {frame.get(key)!r}, truth {right[key]!r}")
    source = sources.line(right["file"], right["line"])
    if (frame.get("source") or "").strip() != source:
        lines.append(f"{where}: source is {frame.get('source')!r}, truth {source!r}")
    bound = bound_variables(frame, "locals")
    names = [variable["name"] for variable in bound]
    wanted = right["order"]
    if right["partial"]:
        wanted = wanted + [name for name in sorted(set(names)) if name not in wanted]
    if names != wanted if right["optimized"] else sorted(names) != sorted(wanted):
        kind = " (order)" if sorted(names) == sorted(wanted) else ""
        lines.append(
            f"{where}: names of locals{kind}\n    said  {' '.join(names)}\n    truth {' '.join(wanted)}"
        )
    arguments = bound_variables(frame, "args")
    names = [variable["name"] for variable in arguments]
    wanted = [name for name in right["args"] if name in right["locals"]]
    if names != wanted:
        lines.append(f"{where}: args are {names}, truth {wanted}")
    for variable in bound + arguments:
        if variable["name"] in right["locals"]:
            complaint = wrong_value(right["locals"][variable["name"]], variable)
            if complaint:
                lines.append(f"{where}: {variable['name']}: {complaint}")


def bound_variables(frame, key):
    """A name without a value has no address; Python leaves such names out of f_locals."""
    return [variable for variable in frame.get(key) or [] if variable.get("address") is not None]


def wrong_value(truth, variable):
    """What is wrong with a variable, or None."""
    if (variable.get("type") or "").split(".")[-1] != truth["type"]:
        return f"type is {variable.get('type')!r}, truth {truth['type']!r}"
    if int(variable["address"], 16) != truth["id"] & MASK:
        return f"address is {variable['address']}, truth {truth['id'] & MASK:#x}"
    value = variable.get("value")
    if not isinstance(value, str) or not value:
        return f"value is {value!r}"
    if "repr" not in truth:
        return None
    wanted = truth["repr"]
    if variable.get("truncated"):
        return wrong_cut(wanted, value)
    if value == wanted or truth.get("unordered") and same_sets(wanted, value):
        return None
    return f"value differs {window(wanted, value)}"


def wrong_cut(wanted, value):
    mark = CUT_MARK.search(value)
    if not mark:
        return f"truncated, but without a mark at its end: {value[-60:]!a}"
    kept = value[: mark.start()]
    if len(wanted) <= NEVER_CUT:
        return f"truncated although its repr has only {len(wanted)} characters: {value!a}, truth {wanted!a}"
    if not wanted.startswith(kept):
        return f"truncated, and what is left is no prefix of the truth: differs {window(wanted, kept)}"
    if len(kept) < NEVER_CUT // 2:
        return f"truncated to {len(kept)} characters of {len(wanted)}"
    return None


def window(wanted, value):
    place = min(len(wanted), len(value))
    for number, (left, right) in enumerate(zip(wanted, value, strict=False)):
        if left != right:
            place = number
            break
    start = max(0, place - 40)
    said, truth = (ascii(text[start : start + 120]) for text in (value, wanted))
    return f"at character {place}\n    said  {said}\n    truth {truth}"


def same_sets(wanted, value):
    """Both are read as Python: the order inside of sets does not count, all else does."""
    names = {"set": set, "frozenset": frozenset, "bytearray": bytearray, "nan": "nan", "inf": float("inf")}
    names["__builtins__"] = {}
    try:
        return ordered(eval(wanted, dict(names))) == ordered(eval(value, dict(names)))
    except (SyntaxError, NameError, TypeError, ValueError):
        return False


def ordered(value):
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}{{{', '.join(sorted(ordered(part) for part in value))}}}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(ordered(part) for part in value)})"
    if isinstance(value, dict):
        return f"dict({', '.join(f'{ordered(key)}: {ordered(item)}' for key, item in value.items())})"
    return repr(value)


class Sources:
    """Lines of source files as the tests read them."""

    def __init__(self):
        self.files = {}

    def line(self, path, number):
        if path not in self.files:
            try:
                with open(path, "rb") as source:
                    self.files[path] = source.read().decode("utf-8", "replace").splitlines()
            except (OSError, ValueError):
                self.files[path] = []
        lines = self.files[path]
        return lines[number - 1].strip() if number is not None and 0 < number <= len(lines) else ""


def as_answer(truth, holds_gil):
    """The truth in the form of an answer: what a perfect reader says. The comparison itself is tested with it."""

    def variable(name, fact):
        value = fact.get("repr", f"<{fact['type']} object>")
        return {"name": name, "type": fact["type"], "address": hex(fact["id"]), "value": value, "truncated": False}

    sources = Sources()
    threads = []
    for number, thread in enumerate(truth["threads"]):
        frames = []
        for index, fact in enumerate(thread["frames"]):
            frame = {key: fact[key] for key in ("function", "qualname", "file", "line")}
            frame.update(kind="python", index=index, source=sources.line(fact["file"], fact["line"]))
            frame["locals"] = [variable(name, fact["locals"][name]) for name in fact["order"]]
            frame["args"] = [variable(name, fact["locals"][name]) for name in fact["args"] if name in fact["locals"]]
            frames.append(frame)
        threads.append({
            "gdb": number + 1,
            "thread_id": hex(thread["thread_id"] & MASK),
            "native_thread_id": thread["native_id"],
            "name": thread["name"],
            "interpreter": 0,
            "holds_gil": thread["thread_id"] == holds_gil,
            "frames": frames,
        })
    return {"threads": threads}
