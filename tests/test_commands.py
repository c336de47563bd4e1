"""What the commands say, typed as a user types them. What is right is what the source of the target programs says."""

import collections
import ctypes
import json
import os
import re
import select
import shutil
import subprocess

import conftest
import pytest
from rig import gdbrun, interpreters, paths, target

NAMES = ("2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped")
SCENE = os.path.join(paths.TARGETS, "commands_scene.py")
STATES = os.path.join(paths.TARGETS, "commands_states.py")
INTERPRETERS = os.path.join(paths.TARGETS, "commands_interpreters.py")
# In the order in which the scene starts them, behind the main thread.
THREAD = {"nest": 2, "body": 3, "executed": 4, "values": 5}
HEX = "0x[0-9a-f]+"
FRAME = re.compile(rf"#(\d+) Frame ({HEX}), for file (.+?), line (\d+), in (\S+) \((.*)\)$")
# The command of a user who does not know what to do must be in the line.
BUILD = re.compile(r"make build|cargo build")
COMMANDS = (
    "py-bt", "py-bt-full", "py-down", "py-frame", "py-info", "py-list", "py-locals", "py-print", "py-threads", "py-up",
)

Frame = collections.namedtuple("Frame", "index address file line function arguments source")


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "case", NAMES)


class Case:
    """The scene on one interpreter, looked at by as many GDBs as there are tests."""

    def __init__(self, interpreter):
        self.interpreter = interpreter
        self.minor = interpreter.minor
        self.scene = None

    def close(self):
        if self.scene:
            self.scene.close()

    def ask(self, *commands, thread=None, **options):
        if self.scene is None:
            self.scene = target.Target(self.interpreter, SCENE, "ask")
        first = [f"thread {THREAD[thread]}"] if thread else []
        return gdbrun.run(first + list(commands), self.interpreter, pid=self.scene.pid, **options)[len(first):]

    def has_symbols(self):
        return self.interpreter.debug_info == "dwarf"


@pytest.fixture(scope="module")
def case(request):
    made = Case(*request.param)
    yield made
    made.close()


def some_interpreter(name="3.11-deb-stripped"):
    found = interpreters.named(name)
    assert not found.missing, f"{name}: {found.reason}"
    return found


def lines_of(path):
    with open(path, encoding="utf-8") as source:
        return source.read().splitlines()


def mark(name, path=SCENE):
    """The number of the line with the comment "mark NAME"."""
    found = [number for number, line in enumerate(lines_of(path), 1) if line.endswith(f"# mark {name}")]
    assert len(found) == 1, f"{len(found)} lines are marked {name!r} in {path}"
    return found[0]


def parse_bt(text):
    """Frames, with the lines of C calls between as plain text: [text | Frame, ...]."""
    entries = []
    for line in text.splitlines():
        if line.startswith("#"):
            match = FRAME.match(line)
            assert match, f"not a frame: {line!r}"
            index, address, path, number, function, arguments = match.groups()
            entries.append(Frame(int(index), int(address, 16), path, int(number), function, arguments, None))
        elif line.startswith("    ") and entries and isinstance(entries[-1], Frame) and entries[-1].source is None:
            entries[-1] = entries[-1]._replace(source=line.strip())
        elif line.startswith("   ") and not line.startswith("        "):
            entries.append(line.strip())
    return entries


def frames_of(text):
    return [entry for entry in parse_bt(text) if isinstance(entry, Frame)]


def short(function):
    return function.rsplit(".", 1)[-1]


def variables(text):
    """py-locals as {name: value}."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition(" = ")
        assert equals, f"not NAME = VALUE: {line!r}"
        found[name] = value
    return found


def no_error(answers):
    for answer in answers:
        assert not answer.error.strip(), f"{answer.command}: {answer.error}"


def one_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, f"{len(lines)} lines instead of one:\n{text}"
    return lines[0]


# ---- py-bt ----------------------------------------------------------------------------------------------------------


def c_call(case, name):
    """As each version's own repr names a C function."""
    if case.minor < (3,):
        return re.compile(rf"<built-in function {name}>$")
    return re.compile(rf"<built-in method {name} of module object at remote {HEX}>$")


def test_bt_text(case):
    full = case.ask("py-bt", thread="nest")[0]
    no_error([full])
    entries = parse_bt(full.text)
    assert c_call(case, "sleep").match(entries[0]), entries[0]
    assert isinstance(entries[1], Frame)
    assert c_call(case, "sorted").match(entries[2]), entries[2]
    frames = [entry for entry in entries if isinstance(entry, Frame)]
    assert [frame.index for frame in frames] == list(range(len(frames)))
    source = lines_of(SCENE)
    for frame, function in zip(frames, ("keyed", "work", "middle", "nest"), strict=False):
        assert short(frame.function) == function
        assert frame.file == SCENE
        assert frame.line == mark(function)
        assert frame.source == source[frame.line - 1].strip()
        assert frame.address
    assert frames[0].arguments == "item=1"
    assert ", a=1, b='x', park=<built-in " in frames[1].arguments
    assert frames[1].arguments.startswith("self=<Owner(")
    assert frames[1].arguments.endswith(", rest=(8, 9), options={'option': True}")
    assert [short(frame.function) for frame in frames[4:6]] == ["run_scene", "run"]


def test_bt_limit(case):
    answers = case.ask("py-bt --limit 1", "py-bt --limit 3", "py-bt --limit 1000", "py-bt", "py-bt --limit 1 --json",
                       thread="nest")
    no_error(answers)
    one, three, many, all_of_it, as_json = answers
    total = len(frames_of(all_of_it.text))
    assert len(frames_of(one.text)) == 1
    assert len(frames_of(three.text)) == 3
    # Whoever reads a shortened stack has to see that it is one, and of how many frames.
    assert str(total) in three.text.splitlines()[-1]
    assert many.text == all_of_it.text
    thread = json.loads(as_json.text)["threads"][0]
    assert [frame["index"] for frame in thread["frames"] if frame["kind"] == "python"] == [0]


def test_bt_wrong_options(case):
    answers = case.ask("py-bt --limit x", "py-bt --limit -1", "py-bt --limit", "py-bt --nonsense", "py-bt nonsense",
                       thread="nest")
    for answer in answers:
        assert not answer.text, answer.command
        assert "py-bt" in one_line(answer.error), answer.command
        assert "bug" not in answer.error, answer.error


def test_bt_locals(case):
    for command in ("py-bt --locals", "py-bt-full"):
        answer = case.ask(command, thread="nest")[0]
        no_error([answer])
        text = answer.text
        work = text[text.index("#1 Frame"):text.index("#2 Frame")]
        shown = dict(line.strip().split(" = ", 1) for line in work.splitlines() if line.startswith(" " * 8))
        assert shown["shadowed"] == "'the local one'"
        assert shown["free"] == "'from work'"
        assert shown["keyed"].startswith("<function ")


def test_bt_all_headings(case):
    answers = case.ask("py-bt --all", "info threads")
    no_error(answers)
    headings = [line for line in answers[0].text.splitlines() if line.startswith("Thread ")]
    lwps = re.findall(r"LWP (\d+)", answers[1].text)
    assert len(headings) == len(lwps) == 5
    for heading, lwp in zip(headings, lwps, strict=True):
        assert f"LWP {lwp}" in heading
    for name, number in THREAD.items():
        assert [heading for heading in headings if heading.startswith(f"Thread {number} ") and f'"{name}"' in heading]
    assert '"MainThread"' in headings[0]


def test_executed_code_and_class_body(case):
    answers = case.ask("py-bt", "py-locals", "thread 3", "py-bt", "py-locals", thread="executed")
    executed, names, _, body, body_names = answers
    frame = frames_of(executed.text)[0]
    assert (frame.file, frame.line, frame.source) == ("<made up>", 3, None)
    found = variables(names.text)
    assert (found["first"], found["second"]) == ("1", "[1]")
    frame = frames_of(body.text)[0]
    assert (short(frame.function), frame.line) == ("Body", mark("Body"))
    found = variables(body_names.text)
    assert (found["attribute"], found["other"]) == ("[1, 2]", "'in the body'")


# ---- py-list --------------------------------------------------------------------------------------------------------


def listed(text):
    """[(number, current?, source)]"""
    rows = []
    for line in text.splitlines():
        match = re.fullmatch(r" *(>?)(\d+)(?:    (.*))?", line.rstrip())
        assert match, f"not a line of py-list: {line!r}"
        rows.append((int(match.group(2)), bool(match.group(1)), (match.group(3) or "").rstrip()))
    return rows


def test_list(case):
    here = mark("keyed")
    source = lines_of(SCENE)
    windows = {
        "py-list": (here - 5, here + 5),
        f"py-list {here - 20}": (here - 20, here - 10),
        f"py-list {here - 3},{here + 1}": (here - 3, here + 1),
        f"py-list {here - 3}, {here + 1}": (here - 3, here + 1),
        f"py-list {len(source) - 2}": (len(source) - 2, len(source)),
        "py-list 1,2": (1, 2),
    }
    answers = case.ask(*windows, thread="nest")
    no_error(answers)
    for answer, (first, last) in zip(answers, windows.values(), strict=True):
        wanted = [(number, number == here, source[number - 1].rstrip()) for number in range(first, last + 1)]
        assert listed(answer.text) == wanted, answer.command


def test_list_follows_the_selected_frame(case):
    answers = case.ask("py-up", "py-list", thread="nest")
    no_error(answers)
    assert [number for number, current, _ in listed(answers[1].text) if current] == [mark("work")]


def test_list_wrong_arguments(case):
    total = len(lines_of(SCENE))
    answers = case.ask("py-list leaf", "py-list 1,x", f"py-list {total + 100}", "py-list 9,3", "py-list -4",
                       "thread 4", "py-list", thread="nest")
    for answer in answers[:5]:
        assert not answer.text, answer.command
        one_line(answer.error)
    # The code of exec has no file: a sentence, and no list of nothing.
    assert not answers[6].text
    assert "<made up>" in one_line(answers[6].error)


# ---- py-up, py-down, py-frame ---------------------------------------------------------------------------------------


def test_up_and_down(case):
    stack = frames_of(case.ask("py-bt", thread="nest")[0].text)
    moves = [
        ("py-frame", 0), ("py-up", 1), ("py-up 2", 3), ("py-down", 2), ("py-down 2", 0), ("py-up 99", "older"),
        ("py-frame", len(stack) - 1), ("py-up", "older"), ("py-down 99", "newer"), ("py-frame", 0),
        ("py-down", "newer"), ("py-frame 3", 3), ("py-frame", 3), ("py-up 0", 3), ("py-frame 0", 0),
    ]
    answers = case.ask(*(command for command, _ in moves), "py-frame 99", "py-up x", "py-frame", thread="nest")
    position = 0
    for answer, (command, wanted) in zip(answers, moves, strict=False):
        if isinstance(wanted, int):
            position = wanted
            assert frames_of(answer.text) == [stack[wanted]], command
            continue
        # The end of the stack: at its last frame there is nothing but the message; else it may be gone to first.
        end = 0 if wanted == "newer" else len(stack) - 1
        said = answer.text + answer.error
        if position == end:
            assert said.strip() == f"Unable to find {'an older' if wanted == 'older' else 'a newer'} python frame"
        else:
            assert frames_of(answer.text) in ([], [stack[end]]), command
            assert frames_of(answer.text) or "python frame" in answer.error
        position = end
    wrong, no_number, still = answers[len(moves):]
    assert "99" in one_line(wrong.error)
    assert str(len(stack)) in wrong.error
    assert "'x'" in one_line(no_number.error)
    assert frames_of(still.text) == [stack[0]]


LEVEL = re.compile(r"^#(\d+)", re.MULTILINE)
EVALUATION = {True: "PyEval_EvalFrameEx", False: "_PyEval_EvalFrameDefault"}


def levels_of(text):
    return [int(level) for level in LEVEL.findall(text)]


def test_up_selects_the_evaluation_frame_of_gdb(case):
    """Python's frame and GDB's go together, in both directions."""
    answers = case.ask("py-up", "frame", "info frame", "p $sp", "bt -no-filters", thread="nest")
    up, frame, info, _, bt = answers
    no_error([up, info, bt])  # GDB's own `frame` complains of C sources that are not here
    level = levels_of(frame.text)[0]
    assert level > 0
    if case.has_symbols():
        # With its symbols GDB itself says what runs there.
        assert EVALUATION[case.minor < (3,)] in info.text
    evaluation = re.findall(r"^#(\d+) .*\b_?PyEval_EvalFrame(?:Ex|Default)\b", bt.text, re.MULTILINE)
    if not evaluation:
        # 3.15 as Debian builds it: the exported function is a stub of its real body, and GDB has no name for that.
        evaluation = re.findall(r"^#(\d+) .*\?\? \(\)", bt.text, re.MULTILINE)
    assert str(level) in evaluation
    assert f"Stack level {level}, " in info.text


def test_up_and_gdb_levels(case):
    ups = case.ask("frame", "py-up", "frame", "py-up", "frame", "py-down 2", "frame", thread="nest")
    first, _, work, _, middle, _, keyed = ups
    innermost, at_work, at_middle, at_keyed = (levels_of(one.text)[0] for one in (first, work, middle, keyed))
    assert innermost == 0
    # sorted() calls its key from C: two evaluation frames. Since 3.11 one frame runs work and middle.
    assert 0 < at_keyed < at_work
    assert (at_middle == at_work) == (case.minor >= (3, 11))
    inner = case.ask(
        f"frame {at_keyed}", "py-print item", "py-frame",
        f"frame {at_work - 1}", "py-print shadowed", "py-frame",
        f"frame {at_work}", "py-print shadowed", "py-frame",
        f"frame {at_keyed}", "up", "py-print a", "py-print item",
        "frame 0", "py-print item",
        "up", "py-print item", thread="nest")
    texts = {number: answer.text.strip() for number, answer in enumerate(inner)}
    assert texts[1] == "local 'item' = 1"
    assert texts[2].startswith("#0 ")
    # A C frame between two evaluation frames belongs to the call that the older one makes.
    assert texts[4] == "local 'shadowed' = 'the local one'"
    assert texts[5].startswith("#1 ")
    assert texts[7] == "local 'shadowed' = 'the local one'"
    assert texts[8].startswith("#1 ")
    assert texts[11] == "local 'a' = 1"
    assert "'item' not found" in texts[12] + inner[12].error
    assert texts[14] == "local 'item' = 1"
    assert texts[16] == "local 'item' = 1"


# ---- py-print, py-locals --------------------------------------------------------------------------------------------


def test_print_names(case):
    path = "self.pool._queue[0]"
    at_work = {
        "shadowed": "local 'shadowed' = 'the local one'",
        "free": "local 'free' = 'from work'",
        "a": "local 'a' = 1",
        "rest[-1]": "local 'rest[-1]' = 9",
        "options['option']": "local 'options['option']' = True",
        "GLOBAL": "global 'GLOBAL' = ['global', 1]",
        "GLOBAL[0]": "global 'GLOBAL[0]' = 'global'",
        f"{path}['k']": f"local '{path}['k']' = 5",
        f'{path}["k"]': f"local '{path}[\"k\"]' = 5",
        f"{path}[7]": f"local '{path}[7]' = 'seven'",
        "self.pool._queue[-1]": "local 'self.pool._queue[-1]' = {'k': 6}",
        "self.kind": "local 'self.kind' = 'of the class'",
        "self.count": "local 'self.count' = 3",
    }
    commands = [f"py-print {name}" for name in at_work]
    answers = case.ask("py-print item", "py-print cell", "py-print free", "py-print shadowed", "py-print len",
                       "py-print __name__", "py-up", *commands, thread="nest")
    no_error(answers)
    item, cell, free, shadowed, builtin, name = (answer.text.strip() for answer in answers[:6])
    assert item == "local 'item' = 1"
    assert cell == "local 'cell' = {'item': 1}"
    assert free == "local 'free' = 'from work'"
    assert shadowed == "global 'shadowed' = 'the global one'"
    what = "<built-in function len>" if case.minor < (3,) else "<built-in method len of module object at remote 0x"
    assert builtin.startswith(f"builtin 'len' = {what}")
    assert name == "global '__name__' = '__main__'"
    for answer, wanted in zip(answers[7:], at_work.values(), strict=True):
        assert answer.text.strip() == wanted, answer.command


def test_print_what_is_not_there(case):
    missing = {
        "nosuch": "'nosuch' not found",
        "": "py-print: which name or path, such as self.pool[0]? Type: help py-print",
        "a": "'a' not found",  # of the caller
    }
    wrong = {
        "free.nosuch": ("'free'", "nosuch"),
        "cell['nosuch']": ("'cell'", "'nosuch'"),
        "GLOBAL[2]": ("'GLOBAL'", "[2]"),
        "GLOBAL[-3]": ("'GLOBAL'", "[-3]"),
        "item[0]": ("'item'", "[0]"),
        "cell.": ("'cell.'",),
        "1+1": ("'1+1'",),
    }
    answers = case.ask(*(f"py-print {name}".rstrip() for name in [*missing, *wrong]), "py-print later", thread="nest")
    for answer, wanted in zip(answers, missing.values(), strict=False):
        assert (answer.text + answer.error).strip() == wanted, answer.command
    for answer, parts in zip(answers[len(missing):], wrong.values(), strict=False):
        assert not answer.text, answer.command
        line = one_line(answer.error)
        for part in parts:
            assert part in line, answer.command
    # A local without a value hides the global of that name, as in Python: it is not found, and nothing else is.
    assert "later" in answers[-1].text + answers[-1].error
    assert "global" not in answers[-1].text


def test_locals(case):
    answers = case.ask("py-locals", "py-up", "py-locals", thread="nest")
    no_error(answers)
    keyed, work = variables(answers[0].text), variables(answers[2].text)
    assert set(keyed) - {"later"} == {"item", "cell", "reader", "free", "park"}
    assert (keyed["item"], keyed["cell"], keyed["free"]) == ("1", "{'item': 1}", "'from work'")
    assert set(work) == {"self", "a", "b", "park", "rest", "options", "free", "shadowed", "keyed"}
    assert (work["a"], work["b"], work["rest"]) == ("1", "'x'", "(8, 9)")
    assert (work["options"], work["free"], work["shadowed"]) == ("{'option': True}", "'from work'", "'the local one'")


def parts(value, name, *wanted):
    assert re.match(rf"<(?:__main__\.)?{name}\b", value), value
    assert re.search(rf" at remote {HEX}>$", value), value
    for part in wanted:
        assert part in value, value


def test_values(case):
    answer = case.ask("py-locals", thread="values")[0]
    no_error([answer])
    found = variables(answer.text)
    old = case.minor < (3,)
    parts(found["slotted"], "Slotted", "first=1", "second='two'")
    assert "never_set=" not in found["slotted"] or "never_set=<" in found["slotted"]
    parts(found["slotted_child"], "SlottedChild", "first=1", "second='two'", "third=3.5")
    parts(found["dict_child"], "DictChild", "{'key': 'value'}")
    parts(found["list_child"], "ListChild", "[1, 2, 3]", "note='on the instance'")
    parts(found["tuple_child"], "TupleChild", "(4, 5)")
    parts(found["int_child"], "IntChild", "42")
    parts(found["str_child"], "StrChild", "'text'")
    assert re.search(r"Point\((?:x=10, y='why'|\(10, 'why'\))\)", found["point"]), found["point"]
    if not old:
        assert "RED" in found["colour"], found["colour"]
        assert re.search(r"\b1\b", found["colour"]), found["colour"]
        # Insertion order: that is what the type is for.
        assert "'one': 1, 'two': 2" in found["ordered"], found["ordered"]
    assert found["number"] == "1" + "0" * 30 + ("L" if old else "")
    assert found["pi"] == "3.25"
    assert found["text"] == ("u'h\\xe9llo \\u20ac'" if old else "'h\u00e9llo \u20ac'")
    assert found["nothing"] == "None"
    assert found["cyclic"] == "[1, [...]]"
    # Shared is not cyclic: CPython's own script shows [...] for the second.
    assert found["twice"] == "[[1], [1]]"
    assert found["error"] == "ValueError('boom', 3)"
    assert found["escape"] == "'\\x1b[31mred\\x07\\r\\n'"
    assert re.match(r"'x{200,}", found["long_text"])
    assert found["long_text"] == "'" + "x" * 5000 + "'" or "..." in found["long_text"]
    # What a target holds must not reach the terminal as it is.
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", answer.text)


# ---- py-threads, py-info, --json ------------------------------------------------------------------------------------


def table(text):
    """py-threads as a list of {column: cell}: the columns stand where their headings do."""
    lines = text.splitlines()
    heads = [match for match in re.finditer(r"\S+(?: \S+)*", lines[0])]
    starts = [match.start() for match in heads] + [None]
    rows = []
    for line in lines[1:]:
        rows.append({
            head.group(): line[starts[number]:starts[number + 1]].strip() for number, head in enumerate(heads)
        })
    return rows


def test_threads(case):
    text, as_json, info = case.ask("py-threads", "py-threads --json", "info threads")
    no_error([text, as_json])
    rows = table(text.text)
    assert [row["GDB"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [row["LWP"] for row in rows] == re.findall(r"LWP (\d+)", info.text)
    assert [row["Name"] for row in rows] == ["MainThread", "nest", "body", "executed", "values"]
    assert [row["State"] for row in rows] == ["in a C call"] * 5
    assert {row["Interp"] for row in rows} == {"0"}
    innermost = rows[1]["Innermost Python frame"]
    assert "keyed" in innermost
    assert f":{mark('keyed')}" in innermost
    threads = json.loads(as_json.text)["threads"]
    assert [thread["name"] for thread in threads] == [row["Name"] for row in rows]


def test_info(case):
    text, verbose, as_json = case.ask("py-info", "py-info -v", "py-info --json")
    no_error([text, verbose, as_json])
    assert case.interpreter.version in text.text.splitlines()[0]
    with open(f"/proc/{case.scene.pid}/maps") as maps:
        mapped = maps.read()
    image = re.search(r"^image: (.*)$", text.text, re.MULTILINE).group(1)
    assert image in mapped
    notes = subprocess.run(["readelf", "-n", image], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Build ID: (\w+)", notes).group(1) in text.text
    assert ("DWARF of /" in text.text) == case.has_symbols()
    assert "verified" in text.text
    assert re.search(r"\d+ reads|reads: *\d+", verbose.text), verbose.text[-500:]
    assert isinstance(json.loads(as_json.text), dict)


def test_json_of_everything(case):
    commands = [
        "py-bt --json", "py-bt --all --json", "py-bt --locals --limit 2 --json", "py-bt-full --json",
        "py-list --json", "py-list --json 1,3", "py-locals --json", "py-print --json item", "py-up --json",
        "py-down --json", "py-frame --json 2", "py-threads --json", "py-info --json", "py-info -v --json",
    ]
    answers = case.ask(*commands, "thread 5", "py-locals --json", thread="nest")
    no_error(answers)
    for answer in answers:
        if answer.command.startswith("thread"):
            continue
        assert answer.text.isascii(), answer.command
        assert isinstance(json.loads(answer.text), dict), answer.command
    assert "\\u20ac" in answers[-1].text


# ---- help and completion --------------------------------------------------------------------------------------------


def test_help_and_apropos():
    options = {
        "py-bt": ["--all", "--locals", "--limit N", "--json"], "py-bt-full": ["--all", "--limit N", "--json"],
        "py-list": ["--json", "[N | N,M]"], "py-print": ["--json", "NAME"], "py-up": ["--json", "[N]"],
        "py-down": ["--json", "[N]"], "py-frame": ["--json", "[N]"], "py-locals": ["--json"],
        "py-threads": ["--json"], "py-info": ["--verbose", "--json"],
    }
    assert set(options) == set(COMMANDS)
    answers = gdbrun.run([*(f"help {name}" for name in options), "apropos python"])
    no_error(answers)
    for answer, (name, wanted) in zip(answers, options.items(), strict=False):
        assert f"Usage: {name}" in answer.text
        for word in wanted:
            assert word in answer.text, answer.command
    for name in options:
        assert re.search(rf"^{name} -- \S", answers[-1].text, re.MULTILINE), f"apropos python does not list {name}"


def completions(answer):
    no_error([answer])
    return answer.text.splitlines()


def test_completion_without_a_process():
    answers = gdbrun.run(["complete py-", "complete py-bt --", "complete py-bt --l", "complete py-info --v",
                          "complete set pyext ", "complete set pyext style ", "complete py-print x"])
    assert set(completions(answers[0])) == {*COMMANDS, "py-dup", "py-find", "py-gc", "py-heap", "py-obj",
                                            "py-waste"}
    options = ("--all", "--chars", "--json", "--limit", "--locals")
    assert set(completions(answers[1])) == {f"py-bt {one}" for one in options}
    assert set(completions(answers[2])) == {"py-bt --limit", "py-bt --locals"}
    assert completions(answers[3]) == ["py-info --verbose"]
    assert set(completions(answers[4])) == {"set pyext frame-filter", "set pyext style"}
    assert set(completions(answers[5])) == {"set pyext style pyext", "set pyext style stock"}
    assert completions(answers[6]) == []


def test_completion_of_names(case):
    answers = case.ask("complete py-print fr", "complete py-print GLO", "complete py-print --",
                       "complete py-print item",
                       "py-up", "complete py-print sha", thread="nest")
    assert "py-print free" in completions(answers[0])
    assert "py-print GLOBAL" in completions(answers[1])
    assert set(completions(answers[2])) == {"py-print --chars", "py-print --json"}
    assert completions(answers[3]) == ["py-print item"]
    assert "py-print shadowed" in completions(answers[5])


# ---- set pyext, bt --------------------------------------------------------------------------------------------------


def test_parameters(case):
    answers = case.ask("show pyext style", "show pyext frame-filter", "set pyext style stock", "show pyext style",
                       "py-bt", "set pyext style pyext", "py-bt", "set pyext style nonsense", "help set pyext style",
                       "help set pyext frame-filter", thread="nest")
    assert "pyext" in one_line(answers[0].text)
    assert re.search(r"\bon\b", one_line(answers[1].text))
    assert "stock" in one_line(answers[3].text)
    assert answers[4].text.startswith("Traceback (most recent call first):\n")
    assert frames_of(answers[6].text)
    assert "nonsense" in one_line(answers[7].error)
    assert "stock" in answers[8].text
    assert "bt" in answers[9].text


def test_bt_with_the_frame_filter(case):
    answers = case.ask("bt", "set pyext frame-filter off", "bt", "set pyext frame-filter on", "bt -no-filters",
                       "py-bt", thread="nest")
    no_error(answers)
    with_filter, _, off, _, without, python = answers
    text = with_filter.text
    wanted = [
        ("keyed", r"item=1", mark("keyed")), ("work", r"self=<Owner\(.*a=1, b='x', .*", mark("work")),
        ("middle", r"owner=<Owner\(.*", mark("middle")), ("nest", r"park=<built-in .*", mark("nest")),
    ]
    place = 0
    for function, arguments, line in wanted:
        pattern = rf"\b{function} \({arguments}\) at {re.escape(SCENE)}:{line}$"
        match = re.compile(pattern, re.MULTILINE).search(text, place)
        assert match, f"no {pattern} in\n{text}"
        place = match.end()
    # Every Python frame is in it.
    lines = [f"{frame.file}:{frame.line}" for frame in frames_of(python.text)]
    assert re.findall(r" at (\S+\.py:\d+)$", text, re.MULTILINE) == lines
    assert off.text == without.text
    # (A printer of a frame object names the file too; a line "at FILE:LINE" only the filter makes.)
    assert f" at {SCENE}:" not in off.text
    # The C frames between stay: as many levels as GDB has.
    assert max(levels_of(text)) == max(levels_of(off.text))


# ---- source files ---------------------------------------------------------------------------------------------------

RELATIVE = """\
import os, sys, time
def park():
    fifo = os.open(sys.argv[2], os.O_WRONLY)
    os.write(fifo, b"!")
    os.read(0, 1)  # in the first file
def run(path, name, into):
    with open(path) as source:
        text = source.read()
    names = dict(into)
    exec(compile(text, name, "exec"), names)
    return names["call"]
here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "library"))
on_the_path = run(os.path.join(here, "library", "package", "deep.py"), os.path.join("package", "deep.py"), {})
moved = run(os.path.join(here, "moved", "moved.py"), "/nonexistent/build/moved.py", {})
by_name = run(os.path.join(here, "moved", "named.py"), "/nonexistent/other/named.py", {})
gone = run(os.path.join(here, "moved", "gone.py"), "/nonexistent/gone.py", {})
on_the_path(lambda: moved(lambda: by_name(lambda: gone(park))))  # the start
"""
CALL = "def call(function):\n    value = '%s'\n    return function()  # in %s\n"


class Placed:
    """A program whose files' names are relative, or lead nowhere."""

    def __init__(self, interpreter, root):
        self.root = str(root)
        for folder in ("start", "start/library/package", "start/moved"):
            os.makedirs(os.path.join(self.root, folder))
        for name in ("library/package/deep", "moved/moved", "moved/named", "moved/gone"):
            with open(os.path.join(self.root, "start", name + ".py"), "w") as out:
                base = os.path.basename(name)
                out.write(CALL % (base, base))
        with open(os.path.join(self.root, "start", "first.py"), "w") as out:
            out.write(RELATIVE)
        self.fifo = os.path.join(self.root, "ready")
        os.mkfifo(self.fifo)
        self.descriptor = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", **interpreter.env}
        self.process = subprocess.Popen(
            [interpreter.exe, os.path.join("start", "first.py"), "-", self.fifo],
            cwd=self.root, env=environment, stdin=subprocess.PIPE,
        )
        wait_ready(self.process, self.descriptor)

    def close(self):
        self.process.kill()
        self.process.stdin.close()
        self.process.wait()
        os.close(self.descriptor)


def wait_ready(process, descriptor):
    """A byte through the FIFO; not the end of the process."""
    pidfd = os.pidfd_open(process.pid)
    try:
        readable, _, _ = select.select([descriptor, pidfd], [], [], target.READY_TIMEOUT)
    finally:
        os.close(pidfd)
    assert descriptor in readable, f"{process.args} ended with {process.poll()} or never became ready"
    os.read(descriptor, 1)


@pytest.fixture(scope="module")
def placed(case, tmp_path_factory):
    made = Placed(case.interpreter, tmp_path_factory.mktemp("placed"))
    yield made
    made.close()


def sources(answer):
    no_error([answer])
    frames = frames_of(answer.text)
    return {os.path.basename(frame.file) + ":" + short(frame.function): frame.source for frame in frames}


def test_source_of_relative_names(case, placed):
    first, listing = gdbrun.run(["py-bt", "py-list"], case.interpreter, pid=placed.process.pid)
    found = sources(first)
    # Through the target's working directory, not through ours.
    assert found["first.py:park"] == "os.read(0, 1)  # in the first file"
    assert found["first.py:<module>"] == "on_the_path(lambda: moved(lambda: by_name(lambda: gone(park))))  # the start"
    # Through the target's sys.path.
    assert found["deep.py:call"] == "return function()  # in deep"
    # A missing file costs its text only.
    assert [found[f"{name}.py:call"] for name in ("moved", "named", "gone")] == [None] * 3
    assert (5, True, "    os.read(0, 1)  # in the first file") in listed(listing.text)


def test_source_through_gdb_directory_and_substitute_path(case, placed):
    moved = os.path.join(placed.root, "start", "moved")
    os.makedirs(os.path.join(placed.root, "found"), exist_ok=True)
    shutil.copy(os.path.join(moved, "named.py"), os.path.join(placed.root, "found"))
    answers = gdbrun.run(
        [f"set substitute-path /nonexistent/build {moved}", f"directory {placed.root}/found", "py-bt", "bt"],
        case.interpreter, pid=placed.process.pid,
    )
    found = sources(answers[2])
    assert found["moved.py:call"] == "return function()  # in moved"
    assert found["named.py:call"] == "return function()  # in named"
    assert found["gone.py:call"] is None


def test_source_of_a_missing_file(case, placed):
    answers = gdbrun.run(["py-up", "py-list", "py-locals", "py-print value"], case.interpreter,
                         pid=placed.process.pid)
    # What is missing is said, and the rest answered.
    assert "/nonexistent/gone.py" in one_line(answers[1].error)
    assert variables(answers[2].text)["value"] == "'gone'"
    assert answers[3].text.strip() == "local 'value' = 'gone'"


# ---- loading --------------------------------------------------------------------------------------------------------


def test_sourced_twice(case):
    again = f"source {paths.SCRIPT}"
    answers = case.ask("set pyext style stock", again, "show pyext style", "set pyext style pyext", "py-bt", again,
                       "py-bt", "bt 8", "info frame-filter", thread="nest")
    no_error(answers)
    assert not answers[1].text
    assert "stock" in answers[2].text  # what the user has set stays
    assert answers[4].text == answers[6].text
    keyed = re.findall(r"\bkeyed \(item=1\) at ", answers[7].text)
    assert len(keyed) == 1
    assert len(re.findall(r"pyext", answers[8].text)) == 1


def test_library_missing(case, tmp_path):
    scripts = tmp_path / "project" / "gdb-scripts"
    shutil.copytree(os.path.dirname(paths.SCRIPT), scripts, ignore=shutil.ignore_patterns("__pycache__"))
    source = f"source {scripts / 'pyext.py'}"
    answers = case.ask(source, "py-bt", "py-threads", "bt 2", pyext=False, env={"PYEXT_LIB": ""})
    no_error([answers[0], answers[3]])
    for answer in answers[1:3]:
        assert not answer.text
        assert BUILD.search(one_line(answer.error))


def test_library_that_is_none(tmp_path):
    interpreter = some_interpreter()
    nonsense, other = tmp_path / "libpyext.so", tmp_path / "other.so"
    nonsense.write_text("this is no library\n")
    code = "unsigned pyext_abi_version(void) { return 99; }\n" + "".join(
        f"int {name}(void) {{ return 0; }}\n"
        for name in ("pyext_session_open", "pyext_session_invalidate", "pyext_session_close", "pyext_query",
                     "pyext_buffer_free", "pyext_last_error")
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(other)], input=code.encode(), check=True)
    assert ctypes.CDLL(str(other)).pyext_abi_version() == 99
    with target.Target(interpreter, SCENE, "ask") as scene:
        for path, words in ((nonsense, "libpyext.so"), (other, "99"), (tmp_path / "missing.so", "missing.so")):
            answers = gdbrun.run(["py-bt", "bt 2", "py-info"], interpreter, pid=scene.pid, env={"PYEXT_LIB": str(path)})
            for answer in (answers[0], answers[2]):
                assert not answer.text, f"{path}: {answer.command} answered all the same"
                line = one_line(answer.error)
                assert words in line
                assert BUILD.search(line)
            assert "#0" in answers[1].text


AUTOLOAD = ("set auto-load python-scripts on", "set auto-load safe-path /")


def in_charge(answers, python):
    """Our py-bt, and one sentence about it."""
    assert frames_of(python.text), python.text
    everything = "\n".join(answer.text + answer.error for answer in answers)
    assert everything.count("CPython's own GDB script") == 1, everything


@pytest.mark.parametrize("name", ["2.7-pyenv", "3.8-pyenv", "3.13-pyenv"])
def test_stock_script_loaded_before(name):
    interpreter = some_interpreter(name)
    with target.Target(interpreter, SCENE, "ask") as scene:
        answers = gdbrun.run(
            ["info auto-load python-scripts", "python print(PyBacktrace.__name__)", f"source {paths.SCRIPT}",
             "thread 2", "py-bt", "py-up", "py-locals", "py-print a", "py-list", f"source {paths.SCRIPT}", "py-bt"],
            interpreter, pid=scene.pid, pyext=False, setup=AUTOLOAD,
        )
    assert re.search(r"Yes\s+\S*python[\d.]+-gdb\.py", answers[0].text), "GDB did not load CPython's script"
    in_charge(answers[:9], answers[4])
    assert "shadowed" in variables(answers[6].text)
    assert answers[7].text.strip() == "local 'a' = 1"
    assert frames_of(answers[10].text)


@pytest.mark.parametrize("name", ["2.7-pyenv", "3.8-pyenv", "3.13-pyenv"])
def test_stock_script_loaded_after(name):
    interpreter = some_interpreter(name)
    with target.Target(interpreter, SCENE, "ask") as scene:
        answers = gdbrun.run(
            [f"source {paths.SCRIPT}", f"attach {scene.pid}", "python print(PyLocals.__name__)", "thread 2", "py-bt",
             "py-up", "py-locals", "py-print a", "py-list", "help py-bt", "bt"],
            interpreter, pyext=False, setup=AUTOLOAD)
    assert "PyLocals" in answers[2].text, "GDB did not load CPython's script"
    in_charge(answers, answers[4])
    assert "shadowed" in variables(answers[6].text)
    assert answers[7].text.strip() == "local 'a' = 1"
    assert "--json" in answers[9].text
    assert re.search(r"\bkeyed \(item=1\) at ", answers[10].text)


def test_stock_script_sourced_by_hand_before():
    interpreter = some_interpreter("3.13-pyenv")
    stock = os.path.join(os.path.dirname(interpreter.exe), "python3.13-gdb.py")
    with target.Target(interpreter, SCENE, "ask") as scene:
        answers = gdbrun.run([f"source {stock}", f"source {paths.SCRIPT}", "thread 2", "py-bt", "py-locals"],
                             interpreter, pid=scene.pid)
    in_charge(answers, answers[3])


# ---- nothing to look at ---------------------------------------------------------------------------------------------


def sentence(answer):
    """One clear sentence on stderr, nothing else."""
    assert not answer.text, f"{answer.command}: {answer.text}"
    lines = [line for line in answer.error.splitlines() if line.strip()]
    assert 1 <= len(lines) <= 2, answer.error
    assert "bug" not in answer.error
    return answer.error


EVERY = ("py-bt", "py-bt --all", "py-bt-full", "py-list", "py-locals", "py-print x", "py-up", "py-down", "py-frame",
         "py-threads", "py-info", "py-bt --json")


def test_no_process():
    answers = gdbrun.run(EVERY)
    for answer in answers:
        said = one_line(sentence(answer))
        assert "attach" in said
        assert "process" in said


class Program:
    """A C program that says through a FIFO that it stands still."""

    def __init__(self, tmp_path, source, flags=(), arguments=(), libraries=()):
        self.exe = str(tmp_path / os.path.splitext(source)[0])
        subprocess.run(
            ["gcc", "-g0", *flags, os.path.join(paths.TARGETS, source), "-o", self.exe, *libraries], check=True
        )
        self.fifo = str(tmp_path / "ready")
        os.mkfifo(self.fifo)
        self.descriptor = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        self.process = subprocess.Popen([self.exe, *arguments, self.fifo])

    def __enter__(self):
        wait_ready(self.process, self.descriptor)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.descriptor)


def test_process_without_python(tmp_path):
    with Program(tmp_path, "no_python.c") as program:
        answers = gdbrun.run([*EVERY, "bt"], pid=program.process.pid)
    for answer in answers[:-1]:
        assert "Python" in sentence(answer)
    assert "main" in answers[-1].text


def test_pypy(tmp_path):
    """PyPy is another Python: that is another sentence than "no Python"."""
    with Program(tmp_path, "no_python.c", ["-DPYPY", "-rdynamic"]) as program:
        answers = gdbrun.run(EVERY, pid=program.process.pid)
    for answer in answers:
        assert "PyPy" in sentence(answer)


EMBED = (["-I/usr/include/python3.11"], ["-lpython3.11"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_embedded_python_that_does_not_run(tmp_path, when):
    """Before Py_Initialize and after Py_Finalize there is an interpreter's code, and no interpreter."""
    assert os.path.exists("/usr/include/python3.11/Python.h"), "apt-get install libpython3.11-dev"
    with Program(tmp_path, "embedded.c", EMBED[0], [when], EMBED[1]) as program:
        answers = gdbrun.run([*EVERY, "bt"], some_interpreter(), pid=program.process.pid)
    for answer in answers[:-1]:
        if answer.command in ("py-info", "py-threads"):
            # These may have something to tell; both must not break.
            assert answer.text or sentence(answer)
            assert "bug" not in answer.error
            continue
        if "--json" in answer.command or "--all" in answer.command:
            assert answer.text or sentence(answer)
            assert "bug" not in answer.error
            continue
        said = sentence(answer)
        assert re.search("Python|python", said)
    assert "main" in answers[-1].text


# ---- states of threads ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def foreign_library(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("foreign") / "foreign.so")
    source = os.path.join(paths.TARGETS, "foreign_thread.c")
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", path, "-lpthread"], check=True)
    return path


def test_state_no_python(case, foreign_library):
    with target.Target(case.interpreter, STATES, "sleep", ["foreign", foreign_library]) as states:
        answers = gdbrun.run(["py-threads", "py-bt --all", "thread 2", "py-bt", "py-locals", "py-threads --json"],
                             case.interpreter, pid=states.pid)
    main, foreign = table(answers[0].text)
    assert main["State"] == "in a C call"
    assert foreign["State"] == "no Python"
    assert foreign["Innermost Python frame"] in ("-", "")
    assert foreign["GIL"] in ("-", "")
    assert re.search(r"^Thread 2 .*no Python", answers[1].text, re.MULTILINE)
    # py-bt tells so on its own output, so that `thread apply all py-bt` goes on; py-locals has nothing to give.
    assert "Python" in one_line(answers[3].text + answers[3].error)
    assert "Python" in sentence(answers[4])
    assert json.loads(answers[5].text)["threads"][1]["frames"] == []


# drop_gil: after letting go of it on request, a thread waits there until another one has taken it.
WAITING = re.compile(r"\btake_gil\b|\bdrop_gil\b|\bPyEval_RestoreThread\b|\bPyEval_AcquireThread\b")
HANDING_OVER = re.compile(r"\bPyThread_release_lock\b")
LOCK_27 = re.compile(r"PyThread_acquire_lock .*\n#\d+ +0x[0-9a-f]+ in PyEval_(?:EvalFrameEx|RestoreThread)"
                     # What the loop does without the GIL is to hand it over.
                     r"|\A#0 +(?:0x[0-9a-f]+ in )?PyEval_EvalFrameEx"
                     r"|\A#0 .*PyThreadState_Swap .*\n#1 +0x[0-9a-f]+ in PyEval_(?:EvalFrameEx|RestoreThread)")


def test_state_busy_and_waiting_for_the_gil(case):
    """Three threads compute. GDB's own backtrace, where it has names, says which of them wait for the GIL."""
    stops = 3
    with target.Target(case.interpreter, STATES, "sleep", ["busy"]) as states:
        for _ in range(stops):
            answers = gdbrun.run(["py-threads", "py-threads --json", "thread apply 2-4 -q bt -no-filters"],
                                 case.interpreter, pid=states.pid)
            no_error(answers[:2])
            rows = table(answers[0].text)
            assert [row["Name"] for row in rows] == ["MainThread", "busy0", "busy1", "busy2"]
            assert rows[0]["State"] == "in a C call"
            holders = [row for row in rows if row["GIL"] == "yes"]
            assert len(holders) <= 1
            told = json.loads(answers[1].text)["threads"]
            assert [thread["holds_gil"] for thread in told].count(True) == len(holders)
            stacks = re.split(r"(?m)^(?=#0 )", answers[2].text)[1:]
            assert len(stacks) == 3
            for row, stack in zip(rows[1:], stacks, strict=True):
                assert row["Innermost Python frame"].startswith(("compute", "busy_scene.<locals>.compute"))
                if HANDING_OVER.search(stack):
                    continue  # it has let go of the GIL and does not yet wait for it again
                what = f"{row}\n{stack}"
                assert row["State"] in ("running Python", "waiting for the GIL"), what
                if case.has_symbols() and row["GIL"] != "yes":
                    waits = (LOCK_27 if case.minor < (3,) else WAITING).search(stack)
                    assert (row["State"] == "waiting for the GIL") == bool(waits), what
            for holder in holders:
                assert holder["State"] == "running Python"


def test_state_between_letting_go_of_the_gil_and_asking_for_it():
    """2.7's loop hands the GIL over by itself: right after it has, it is in none of the functions of locks."""
    interpreter = interpreters.named("2.7-pyenv")
    released = 'tbreak PyThread_release_lock if lock == interpreter_lock && $_caller_is("PyEval_EvalFrameEx")'
    where = "python print('STOPPED IN', gdb.selected_frame().name(), gdb.selected_thread().num)"
    with target.Target(interpreter, STATES, "sleep", ["busy"]) as states:
        answers = gdbrun.run([released, "continue", "finish", where, "py-threads"], interpreter, pid=states.pid)
    number = re.search(r"STOPPED IN PyEval_EvalFrameEx (\d+)", answers[3].text).group(1)
    row, = (row for row in table(answers[4].text) if row["GDB"] == number)
    assert (row["State"], row["GIL"]) == ("waiting for the GIL", "")


def test_state_collecting_garbage(case):
    """The collector runs a weak reference's callback, which stands still: above it, the collection goes on."""
    with target.Target(case.interpreter, STATES, "ask", ["collecting"]) as states:
        answers = gdbrun.run(["py-threads", "thread 2", "py-bt"], case.interpreter, pid=states.pid)
    rows = table(answers[0].text)
    assert "callback" in rows[1]["Innermost Python frame"]
    frames = frames_of(answers[2].text)
    assert [short(frame.function) for frame in frames[:2]] == ["callback", "collect"]
    # Both are true of it: it sleeps in C, and the collection below has not ended. "running Python" would be wrong.
    assert rows[1]["State"] in ("in a C call", "collecting garbage"), rows[1]


def test_state_in_the_middle_of_a_collection(case):
    """A thread that does nothing but collect a large heap."""
    with target.Target(case.interpreter, STATES, "sleep", ["sweeping"]) as states:
        answers = gdbrun.run(["py-threads", "py-bt", "bt -no-filters"], case.interpreter, pid=states.pid)
    row = table(answers[0].text)[0]
    if case.has_symbols():
        assert re.search(r"\bgc_collect|\bcollect\b|\bgc_", answers[2].text), "GDB sees no collection"
    assert row["State"] == "collecting garbage", row
    assert short(frames_of(answers[1].text)[0].function) == "sweep"


def test_threads_that_start_and_end(case):
    """A thread between its creation and its first line, and two between their last line and their end."""
    with target.Target(case.interpreter, STATES, "sleep", ["passing"]) as states:
        ids = states.truth()
        started = {int(tid) for tid in os.listdir(f"/proc/{states.pid}/task")} - {states.pid, *ids.values()}
        answers = gdbrun.run(["py-threads", "py-bt --all", "py-threads --json", "thread apply all -q py-bt"],
                             case.interpreter, pid=states.pid)
    no_error(answers)
    rows = {int(row["LWP"]): row for row in table(answers[0].text)}
    assert len(started) == 1 and len(rows) == 4
    main, starting = rows[states.pid], rows[started.pop()]
    assert (main["GIL"], main["State"]) == ("yes", "in a C call")
    assert short(main["Innermost Python frame"].split(" ")[0]) == "passing"
    # It has a thread state, so that it is Python's, and no frame yet.
    assert starting["Interp"] == "0"
    assert starting["Innermost Python frame"] == "-"
    assert starting["State"] in ("no Python", "waiting for the GIL")
    ending, clearing = rows[ids["ending"]], rows[ids["clearing"]]
    assert (ending["State"], ending["Interp"], ending["Innermost Python frame"]) == ("no Python", "-", "-")
    frame = clearing["Innermost Python frame"]
    assert short(frame.split(" ")[0]) == "__del__" and f":{mark('last', STATES)})" in frame
    assert clearing["State"] == "in a C call"
    told = {thread["lwp"]: thread for thread in json.loads(answers[2].text)["threads"]}
    assert told[ids["ending"]]["thread_id"] and told[ids["ending"]]["frames"] == []
    assert [frame.function for frame in frames_of(answers[1].text)].count(frame.split(" ")[0]) == 1


# 3.7 and older have no module for it.
WITH_INTERPRETERS = ("3.8-pyenv", "3.10-pyenv-stripped", "3.11-deb-stripped", "3.12-pyenv-stripped", "3.13-pyenv",
                     "3.14-deb-stripped", "3.15-deb-stripped")


@pytest.mark.parametrize("name", WITH_INTERPRETERS)
def test_thread_in_a_subinterpreter(name):
    """The frames of both interpreters are one stack, the one that really runs first."""
    interpreter = some_interpreter(name)
    with target.Target(interpreter, INTERPRETERS, "sleep") as scene:
        answers = gdbrun.run(
            ["thread 2", "py-bt", "py-print argument", "py-locals", "py-frame 2", "py-locals", "py-bt --limit 1",
             "py-bt --json", "py-threads", "bt", "py-up 100", "py-down 100"], interpreter, pid=scene.pid)
    no_error(answers[1:])
    _, text, argument, locals_, _, outer, limited, as_json, threads, bt, _, down = answers
    frames = frames_of(text.text)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert [short(frame.function) for frame in frames[:3]] == ["inner", "<module>", "outer"]
    assert frames[2].line == mark("outer", INTERPRETERS)
    lines = text.text.splitlines()
    assert lines[0] == "Interpreter 1:" and lines.count("Interpreter 0:") == 1
    assert any(re.match(r"   <built-in method (?:run_string|exec) of module", line) for line in lines)
    assert argument.text.strip() == "local 'argument' = 'from the subinterpreter'"
    assert variables(locals_.text)["local"] == "['from the subinterpreter']"
    assert "number" in variables(outer.text)
    assert [short(frame.function) for frame in frames_of(limited.text)] == ["inner"]
    assert f"(More frames follow: 1 of {len(frames)} shown.)" in limited.text
    told = json.loads(as_json.text)["threads"]
    assert [thread["interpreter"] for thread in told] == [1, 0]
    assert [frame["index"] for thread in told for frame in thread["frames"] if frame["kind"] == "python"] == [
        frame.index for frame in frames]
    assert [row["Interp"] for row in table(threads.text)] == ["0", "1", "0"]
    called = r"^#\d+ .*\binner \(argument='from the subinterpreter'\) at <(?:string|script)>:5$"
    assert re.search(called, bt.text, re.MULTILINE)
    assert re.search(r"\bouter \(", bt.text)
    assert "in inner (" in down.text


COLLECTING_WITHOUT_SYMBOLS = ("2.7-pyenv-stripped", "3.6-pyenv-stripped", "3.7-pyenv-stripped", "3.13-deb-stripped")


@pytest.mark.parametrize("name", COLLECTING_WITHOUT_SYMBOLS)
def test_state_collecting_garbage_without_symbols(name):
    """The flag is a static variable up to 3.6, then in the runtime, then in the interpreter."""
    interpreter = some_interpreter(name)
    with target.Target(interpreter, STATES, "sleep", ["sweeping"]) as states:
        answers = gdbrun.run(["py-threads"], interpreter, pid=states.pid)
    assert table(answers[0].text)[0]["State"] == "collecting garbage"


# ---- as GDB's users type --------------------------------------------------------------------------------------------


def test_bt_takes_what_gdbs_bt_takes(case):
    two, full, wrong, negative, bt_full = case.ask("py-bt 2", "py-bt full", "py-bt some", "py-bt -3", "bt full",
                                                   thread="nest")
    assert [short(frame.function) for frame in frames_of(two.text)] == ["keyed", "work"]
    assert "        shadowed = 'the local one'" in full.text.splitlines()
    for answer in (wrong, negative):
        assert "help py-bt" in answer.error and not answer.text.strip()
    # GDB's own `bt full` has the locals of Python frames, and each argument once.
    lines = [line.strip() for line in bt_full.text.splitlines()]
    assert "shadowed = 'the local one'" in lines and "cell = {'item': 1}" in lines
    assert not [line for line in lines if line.startswith("item = ")]


def test_settings_are_listed():
    answers = gdbrun.run(["show pyext", "set pyext", "set pyext nonsense", "show pyext nonsense"])
    shown, listed, *wrong = answers
    assert [line.split(":")[0] for line in shown.text.splitlines()] == ["style", "frame-filter"]
    assert "set pyext style" in listed.text and "set pyext frame-filter" in listed.text
    for answer in wrong:
        assert "nonsense" in one_line(answer.error)


def test_a_thread_that_runs():
    """In non-stop mode a thread can be asked about while it runs: the answer says what it is worth."""
    with target.Target(some_interpreter(), STATES, "sleep", ["busy"]) as states:
        answers = gdbrun.run([f"attach {states.pid}", "continue -a &", "py-threads", "py-bt", "interrupt -a", "detach"],
                             setup=["set non-stop on", "set mi-async on"])
    threads, text = answers[2:4]
    no_error([threads, text])
    assert re.search(r"^note: .* these run \(thread 1, 2, 3, 4\)$", threads.text, re.MULTILINE), threads.text
    assert re.search(r"^note: .* these run \(thread 1\)$", text.text, re.MULTILINE), text.text
    assert "in busy_scene (" in text.text


@pytest.mark.parametrize("name", ["2.7-pyenv", "3.8-pyenv", "3.10-pyenv-stripped", "3.13-pyenv"])
def test_interpreters_life_from_the_first_to_the_last_line(name):
    """Stopped before it starts and while it ends: a sentence each, and no table of half a world."""
    interpreter = some_interpreter(name)
    setup = [f"set environment {key} {value}" for key, value in interpreter.env.items()]
    setup += ["set startup-with-shell off", "break main", "run -c pass"]
    commands = ["py-bt", "py-threads", "py-info", "tbreak Py_Finalize", "continue", "py-bt", "py-bt --all", "py-locals"]
    if interpreter.minor >= (3, 6):
        commands[3] = "tbreak Py_FinalizeEx"
    answers = gdbrun.run([*setup, *commands], interpreter, exe=interpreter.exe, start=True)[len(setup):]
    before, after = answers[:3], answers[5:]
    for answer in before[:2]:
        assert "CPython is there" in answer.text + answer.error, f"{answer.command}: {answer.text}{answer.error}"
        assert "start" in answer.text + answer.error
    assert "There is no CPython" not in before[2].text + before[2].error
    bt, every, locals_ = after
    assert "runs no Python function" in one_line(bt.text + bt.error)
    assert "no Python" in every.text
    assert "runs no Python function" in one_line(locals_.text + locals_.error)
    for answer in after:
        assert "thread names" not in answer.text


def test_as_many_characters_as_are_asked_for(case):
    few, all_, locals_, bt, as_json, wrong, frame, up = case.ask(
        "py-print --chars 10 long_text", "py-print --chars 0 long_text", "py-locals --chars 0", "py-bt --chars 20",
        "py-print --chars 0 --json long_text", "py-locals --chars -1", "py-frame --chars 20 0", "py-up --chars 20 0",
        thread="values")
    assert few.text.strip() == "local 'long_text' = 'xxxxxxxxx...(truncated)"
    assert all_.text.strip() == f"local 'long_text' = '{'x' * 5000}'"
    assert variables(locals_.text)["long_text"] == f"'{'x' * 5000}'"
    assert json.loads(as_json.text)["value"] == f"'{'x' * 5000}'"
    assert not json.loads(as_json.text)["truncated"]
    for answer in (bt, frame, up):
        assert re.search(r"park=<built-in .{10}\.\.\.\(truncated\)", answer.text), answer.text
    assert "help py-locals" in one_line(wrong.error)
