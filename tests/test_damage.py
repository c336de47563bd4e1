"""Broken targets: overwritten bytes in real cores, truncated cores, cores with a wrong executable; nothing is written.

What is overwritten is found through the target's own id()s; that everything else is still right, the target's own
account of itself decides.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess

import conftest
import pytest
from rig import compare, cores, gdbrun, interpreters, target

NAMES = ("3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.14-deb-stripped")
COMMAND = "py-bt --all --locals --json"
# What a user waits for an answer on a broken target, GDB's own start and symbols apart.
PATIENCE = 2.0
NOWHERE = 0xDEAD0000
UNREADABLE = re.compile(r"<unreadable|<corrupt|<unknown|<damaged", re.IGNORECASE)


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "broken", NAMES)


class Broken:
    """A core, the truth about it, and its parts to overwrite."""

    def __init__(self, interpreter, root):
        self.interpreter = interpreter
        self.path = str(root / "core")
        with target.Target(interpreter, "damage_scene.py", "ask") as scene:
            gdbrun.gcore(scene.pid, self.path)
            self.truth = scene.testify()
            with open(scene.out + ".places") as source:
                self.places = json.load(source)
        self.core = cores.Core(self.path)

    def ask(self, *commands, core=None, exe=None):
        """The commands' answers; each must come in time."""
        answers = gdbrun.timed(commands, self.interpreter, core=core or self.path, exe=exe)
        for answer in answers:
            assert answer.seconds < PATIENCE, f"{answer.command}: {answer.seconds} s"
        return answers

    def frame(self):
        """Address of the innermost frame of the thread "victims", and of its link to its caller.

        3.10 and older: the PyFrameObject, whose f_back follows ob_size. Later: PyFrameObject.f_frame is at 24, and
        _PyInterpreterFrame.previous at 48 in 3.11, at 8 since 3.12 (Include/internal/pycore_frame.h).
        """
        frame = self.places["frame"]
        if self.interpreter.minor < (3, 11):
            return frame, frame + 24
        frame = self.core.word(frame + 24)
        return frame, frame + (48 if self.interpreter.minor == (3, 11) else 8)


@pytest.fixture(scope="module")
def broken(request, tmp_path_factory):
    return Broken(request.param[0], tmp_path_factory.mktemp("damage"))


@pytest.fixture
def poke(broken):
    """Overwrites words of the core, which come back when the test is over."""
    yield broken.core.poke
    broken.core.restore()


def the_json(answer):
    try:
        return json.loads(answer.text)
    except ValueError:
        raise AssertionError(f"{answer.command}: no JSON\n{answer.text[:2000]}\n{answer.error[:2000]}") from None


def differences(broken, answer):
    return compare.differences(broken.truth, the_json(answer), holds_gil=0)


def thread_of(answer, name):
    return next(thread for thread in answer["threads"] if thread["name"] == name)


def test_undamaged(broken):
    """What the other tests compare with."""
    assert differences(broken, broken.ask(COMMAND)[0]) == []


# name of the local: offset and value of the overwritten word
DAMAGE = {
    "bad_items": (24, NOWHERE),  # PyListObject.ob_item
    "bad_size": (16, 1 << 62),  # PyVarObject.ob_size
    "bad_length": (16, 1 << 60),  # PyASCIIObject.length
    "bad_keys": (32, NOWHERE),  # PyDictObject.ma_keys
    "bad_type": (8, NOWHERE),  # PyObject.ob_type
}


def test_damaged_values(broken, poke):
    for name, (offset, value) in DAMAGE.items():
        poke(broken.places[name] + offset, value)
    poke(broken.places["Named"] + 24, NOWHERE)  # PyTypeObject.tp_name
    answer, text, full, printed = broken.ask(
        COMMAND, "py-bt --all --locals", "py-bt-full", "py-print nested")
    damaged = {*DAMAGE, "bad_name", "nested"}
    complaints = [line for line in differences(broken, answer)
                  if not any(re.search(rf"\bvictims: {name}: ", line) for name in damaged)]
    assert not complaints, "\n".join(complaints)
    frame = thread_of(the_json(answer), "victims")["frames"][1]
    assert frame["function"] == "victims"
    shown = {variable["name"]: variable for variable in frame["locals"]}
    for name in [*DAMAGE, "bad_name"]:
        value = shown[name]["value"]
        assert value, f"{name}: {shown[name]}"
        assert UNREADABLE.search(value), f"{name}: {value!r}"
        assert int(shown[name]["address"], 16) == broken.places[name]
        assert f"{name} = {value}" in text.text
    # One bad element does not take the rest of its container.
    assert "'still here'" in shown["nested"]["value"]
    assert UNREADABLE.search(shown["nested"]["value"])
    assert not text.error
    assert "'it', 'all'" in text.text
    assert "untouched = {'thread': ['other']}" in text.text


def test_damaged_values_one_by_one(broken):
    """Each alone: what one of them hides another might show."""
    for name, (offset, value) in DAMAGE.items():
        broken.core.poke(broken.places[name] + offset, value)
        try:
            answer = broken.ask(COMMAND)[0]
        finally:
            broken.core.restore()
        hit = {name, "nested"} if name == "bad_items" else {name}
        complaints = [line for line in differences(broken, answer)
                      if not any(re.search(rf"\bvictims: {one}: ", line) for one in hit)]
        assert not complaints, name + "\n" + "\n".join(complaints)


def test_code_without_a_readable_file_name(broken, poke):
    code, filename = broken.places["code"], broken.places["co_filename"]
    words = [code + 8 * number for number in range(40) if broken.core.word(code + 8 * number) == filename]
    assert len(words) == 1, "co_filename is not one of the words of the code object"
    poke(words[0], NOWHERE)
    answer, text = broken.ask(COMMAND, "py-bt --all")
    complaints = [line for line in differences(broken, answer) if not re.search(r" caller: (?:file|source) is ", line)]
    assert not complaints, "\n".join(complaints)
    lines = [line for line in text.text.splitlines() if ", in caller (" in line]
    assert len(lines) == 1
    assert re.match(r"#\d+ Frame 0x[0-9a-f]+, for file <unreadable[^,]*, line 3, in caller \(", lines[0]), lines[0]


def loop_sentence(broken, answer):
    """The frames up to the loop, once, and words about it."""
    thread = thread_of(the_json(answer), "victims")
    frames = [frame["function"] for frame in thread["frames"] if frame["kind"] == "python"]
    said = json.dumps(the_json(answer))
    assert re.search(r"loop|cycle|again", said), said[-1500:]
    other = [line for line in differences(broken, answer) if "'victims'" not in line]
    assert not other, "\n".join(other)
    return frames


def test_frame_whose_caller_is_itself(broken, poke):
    frame, link = broken.frame()
    poke(link, frame)
    answer, text, up = broken.ask(COMMAND, "py-bt --all", "py-up")
    assert loop_sentence(broken, answer) == ["victims"]
    assert re.search(r"loop|cycle|again", text.text + text.error)


def test_frames_in_a_circle(broken, poke):
    """The outermost of them leads back to the innermost."""
    frame, link = broken.frame()
    step = link - frame
    chain = [frame]
    while broken.core.word(chain[-1] + step):
        chain.append(broken.core.word(chain[-1] + step))
    assert len(chain) >= 4
    poke(chain[2] + step, frame)
    answer, text = broken.ask(COMMAND, "py-bt --all")
    assert loop_sentence(broken, answer)[:2] == ["victims", "caller"]
    assert re.search(r"loop|cycle|again", text.text + text.error)


def test_frame_whose_caller_is_nowhere(broken, poke):
    _, link = broken.frame()
    poke(link, NOWHERE)
    answer, text = broken.ask(COMMAND, "py-bt --all")
    thread = thread_of(the_json(answer), "victims")
    first, *rest = [frame["function"] for frame in thread["frames"] if frame["kind"] == "python"]
    assert first == "victims"
    # Up to 3.10 the link leads to a frame object: a frame there is, and nothing of it can be read.
    assert len(rest) <= 1 and all(UNREADABLE.search(function) for function in rest)
    for said in (json.dumps(thread), text.text + text.error):
        assert re.search(r"0xdead00[0-9a-f]{2}\b", said), "nobody says why the stack ends"


# ---- truncated cores ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kernel_core(broken, tmp_path_factory):
    """By the kernel: of a truncated core of its own, GDB says that it is none (the section headers are at its end)."""
    path = str(tmp_path_factory.mktemp("kernel") / "core")
    with target.Target(broken.interpreter, "damage_scene.py", "abort") as scene:
        shutil.copy(scene.kernel_core(), path)
    return path


@pytest.mark.parametrize("percent", [30, 60, 90])
def test_truncated_core(broken, kernel_core, tmp_path, percent):
    """Says first that the core is truncated, answers what it can, and GDB goes on."""
    cut = str(tmp_path / "core")
    shutil.copy(kernel_core, cut)
    os.truncate(cut, os.path.getsize(cut) * percent // 100)
    answers = broken.ask("py-bt --all", "py-bt", "py-info", "py-threads", "py-locals", "bt", "py-bt --all --json",
                         core=cut)
    for answer in answers[:4]:
        # GDB's own, of registers that it does not know, on processors that are newer than it.
        error = re.sub("^warning: (Section|Unexpected size of section) .*\n", "", answer.error, flags=re.M)
        lines = [(text.strip().splitlines() or [""])[0] for text in (error, answer.text)]
        assert any("truncated" in line for line in lines), f"{answer.command}: {lines}"
        assert "bug" not in answer.error
    if answers[-1].text:
        assert "truncated" in json.dumps(the_json(answers[-1]))


def with_headers(path, change):
    """Gives the core at `path` other program headers, at its end: what `change` makes of those that it has."""
    with open(path, "r+b") as file:
        header = bytearray(file.read(64))
        # e_phoff, e_phnum; a program header has 56 bytes.
        (offset,), (count,) = struct.unpack_from("<Q", header, 32), struct.unpack_from("<H", header, 56)
        file.seek(offset)
        headers = change([bytearray(file.read(56)) for _ in range(count)])
        struct.pack_into("<Q", header, 32, file.seek(0, os.SEEK_END))
        struct.pack_into("<H", header, 56, len(headers))
        file.write(b"".join(headers))
        file.seek(0)
        file.write(header)


def test_core_whose_mappings_overlap(broken, kernel_core, tmp_path):
    """Each three times, and one that claims all memory behind it: it is said, and what is there is read once."""
    core = str(tmp_path / "core")
    shutil.copy(kernel_core, core)
    loads = []

    def change(headers):
        loads.extend(one for one in headers if one[:4] == b"\1\0\0\0")
        first = bytearray(loads[0])
        struct.pack_into("<Q", first, 40, 1 << 60)
        return [*headers, *loads, *loads, first]

    with_headers(core, change)
    commands = (COMMAND, "py-heap --by type --json --limit 100000")
    whole, damaged = (broken.ask(*commands, core=path) for path in (kernel_core, core))
    for before, after in zip(map(the_json, whole), map(the_json, damaged)):
        said = [one["what"] for one in after["diagnostics"] if "begin in another one" in one["what"]]
        # Of three alike two begin in another one; what claims all memory too, and the next one begins in it.
        number = 2 * len(loads) + 2
        assert said == [f"the core is damaged: {number} of the mappings in its headers begin in another one"]
        assert not any("begin in another one" in one["what"] for one in before["diagnostics"])
        for key in ("threads", "rows"):
            assert before.get(key) == after.get(key)


def test_core_that_lacks_its_last_page(broken, kernel_core, tmp_path):
    """What is missing is no part of Python: every stack is there, behind the word about the truncation."""
    cut = str(tmp_path / "core")
    shutil.copy(kernel_core, cut)
    os.truncate(cut, os.path.getsize(cut) - 4096)
    answer = broken.ask("py-bt --all", core=cut)[0]
    assert "truncated" in answer.error + answer.text
    for function in ("victims", "caller", "other", "main"):
        assert re.search(rf", in (?:\S+\.)?{function} \(", answer.text), answer.text


# ---- wrong executables ----------------------------------------------------------------------------------------------


def image_of(interpreter):
    """The file with the interpreter's code in it."""
    if interpreter.link != "shared":
        return os.path.realpath(interpreter.exe)
    listed = subprocess.run(["ldd", interpreter.exe], capture_output=True, text=True, check=True).stdout
    return os.path.realpath(re.search(r"libpython\S* => (\S+)", listed).group(1))


def test_core_with_a_link_to_its_executable(broken, tmp_path):
    """As a virtual environment has one: no other file, so nothing to warn of."""
    link = str(tmp_path / "python")
    os.symlink(broken.interpreter.exe, link)
    answer, info = broken.ask(COMMAND, "py-info", exe=link)
    assert differences(broken, answer) == []
    assert not re.search(r"another build|not the|differ", info.text), info.text


OTHERS = {"3.8-pyenv": "3.9-pyenv", "3.11-deb-stripped": "3.11-pyenv", "3.13-pyenv": "3.11-deb-stripped",
          "3.14-deb-stripped": "3.13-deb-stripped"}


def test_core_with_another_executable(broken):
    """The core says what died: the answers are right, and the right file is named."""
    other = interpreters.named(OTHERS[broken.interpreter.id])
    assert not other.missing, f"{other.id}: {other.reason}"
    answer, info, text = broken.ask(COMMAND, "py-info", "py-bt", exe=other.exe)
    assert differences(broken, answer) == []
    assert image_of(broken.interpreter) in info.text + text.text + text.error + info.error
    assert os.path.realpath(other.exe) in info.text + text.text + text.error + info.error


def test_core_with_a_script_as_its_executable(broken, tmp_path):
    """As pyenv's shims are."""
    shim = tmp_path / "python"
    shim.write_text("#!/bin/sh\nexec true\n")
    shim.chmod(0o755)
    answers = broken.ask(COMMAND, "py-info", exe=str(shim))
    assert differences(broken, answers[0]) == []
    assert image_of(broken.interpreter) in answers[1].text


# ---- nothing is written ---------------------------------------------------------------------------------------------


def writable_memory(pid):
    """{mapping: hash of its bytes} of all that the process may write."""
    found = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "r" not in rights or "w" not in rights:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            digest = hashlib.sha256()
            for place in range(start, end, 1 << 20):
                memory.seek(place)
                try:
                    digest.update(memory.read(min(1 << 20, end - place)))
                except OSError as error:
                    digest.update(str(error).encode())
            found[line.strip()] = digest.hexdigest()
    return found


EVERY = ("py-bt", "py-bt --all --locals", "py-bt --all --locals --json", "py-bt-full", "py-threads", "py-info -v",
         "py-up", "py-list", "py-locals", "py-print self", "py-print len", "py-print park", "py-frame 2", "py-down",
         "bt", "thread apply all -q py-bt", "complete py-print pa")
# GDB itself refuses to write, to call and to stop by breakpoints: who tries fails.
FORBIDDEN = ("set may-call-functions off", "set may-write-memory off", "set may-write-registers off",
             "set may-insert-breakpoints off")
COUNT_CALLS = "python gdb.events.inferior_call.connect(lambda event: print('an inferior call'))"


def test_nothing_is_written_to_the_target(broken):
    with target.Target(broken.interpreter, "damage_scene.py", "ask") as scene:
        os.kill(scene.pid, signal.SIGSTOP)
        _, status = os.waitpid(scene.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        before = writable_memory(scene.pid)
        answers = gdbrun.run([COUNT_CALLS, *FORBIDDEN, "thread 2", *EVERY], broken.interpreter, pid=scene.pid)
        after = writable_memory(scene.pid)
    assert before
    changed = [mapping for mapping in before if after.get(mapping) != before[mapping]]
    assert before.keys() == after.keys()
    assert not changed, changed
    for answer in answers[6:]:
        assert "inferior call" not in answer.text
        assert not re.search(r"may not|not permitted|not allowed", answer.error), answer.error
    texts = {answer.command: answer.text for answer in answers}
    assert "in victims" in texts["py-bt"]
    assert "other" in texts["py-threads"]
