"""Cores as they come: with every filter of the kernel, sparse, compressed, without notes, and from another machine."""

import copy
import json
import os
import re
import shutil
import struct
import subprocess
import tarfile

import pytest
from rig import compare, gdbrun, interpreters, target

WHOLE = "py-bt --all --locals --json"
# /proc/PID/coredump_filter (core(5)): anonymous private memory is bit 0; shared memory, file-backed memory, ELF headers
# and huge pages are the others. Each of these keeps anonymous memory.
FILTERS = (0x01, 0x11, 0x21, 0x33, 0x3D, 0x7F)
NT_FILE = 0x46494C45


def some_interpreter(name):
    found = interpreters.named(name)
    assert not found.missing, f"{name}: {found.reason}"
    return found


def with_filter(interpreter, number):
    """The same interpreter, whose cores hold what `number` says: a child has the filter of its parent."""
    return ["sh", "-c", f'echo {number:#x} > /proc/self/coredump_filter && exec "$@"', "sh", interpreter.exe]


class Filtered(target.Target):
    """A target that the kernel dumps with a filter of its own."""

    number = 0x33

    def command(self, interpreter):
        return with_filter(interpreter, self.number)


@pytest.mark.parametrize("name", ["2.7-pyenv-stripped", "3.11-deb-stripped", "3.14-deb-stripped"])
@pytest.mark.parametrize("number", FILTERS, ids=lambda number: f"{number:#x}")
def test_coredump_filters(name, number):
    interpreter = some_interpreter(name)
    kind = type("Filtered", (Filtered,), {"number": number})
    with kind(interpreter, "damage_scene.py", "abort") as scene:
        core = scene.kernel_core()
        answers = gdbrun.run([WHOLE, "py-info", "py-threads"], interpreter, core=core)
        truth = scene.truth()
    # The main thread died in os.abort(), with the GIL.
    compare.check(truth, json.loads(answers[0].text), holds_gil=truth["main_thread_id"], what=f"{name}, {number:#x}")
    assert answers[1].text.startswith(f"CPython {interpreter.version}")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A core of GDB's, and the truth about it."""
    path = str(tmp_path_factory.mktemp("cores") / "core")
    interpreter = some_interpreter("3.11-deb-stripped")
    with target.Target(interpreter, "damage_scene.py", "ask") as scene:
        gdbrun.gcore(scene.pid, path)
        truth = scene.testify()
    return interpreter, path, truth


def test_sparse_core(plain, tmp_path):
    interpreter, path, truth = plain
    sparse = str(tmp_path / "core")
    subprocess.run(["cp", "--sparse=always", path, sparse], check=True)
    assert os.stat(sparse).st_blocks < os.stat(path).st_size // 512
    answer = gdbrun.run([WHOLE], interpreter, core=sparse)[0]
    compare.check(truth, json.loads(answer.text), holds_gil=0, what="sparse")


def test_core_without_a_note_of_files(plain, tmp_path):
    """As some tools write them. Which files were mapped nobody says then: a sentence, with what helps."""
    interpreter, path, _ = plain
    stripped = str(tmp_path / "core")
    shutil.copy(path, stripped)
    with open(stripped, "r+b") as core:
        data = core.read()
        # In place of its type, one that nobody knows: size of the name, of the contents, type, "CORE".
        found = [m.start() for m in re.finditer(re.escape(struct.pack("<I", NT_FILE) + b"CORE\0"), data)]
        assert len(found) == 1
        core.seek(found[0])
        core.write(struct.pack("<I", 0x6E6F6E65))
    answers = gdbrun.run(["py-bt", "py-threads", "py-info"], interpreter, core=stripped)
    for answer in answers:
        said = (answer.text + answer.error).strip()
        assert said and "bug" not in said, answer.command
        assert "mapped" in said or "#0 Frame" in said or "CPython" in said, said


@pytest.mark.parametrize(("ending", "compress", "expand"), [("zst", ["zstd", "-q"], "zstd -d"), ("gz", ["gzip", "-k"],
                                                                                                "gunzip -k")])
def test_compressed_core(plain, tmp_path, ending, compress, expand):
    """GDB cannot read it. The command that expands it does what it says."""
    interpreter, path, _ = plain
    whole = str(tmp_path / "core.1")
    shutil.copy(path, whole)
    subprocess.run([*compress, whole], check=True)
    os.unlink(whole)
    packed = f"{whole}.{ending}"
    answer = gdbrun.run(["py-bt"], interpreter, core=packed)[0]
    said = answer.error.strip()
    assert len(said.splitlines()) == 1
    sentence = rf"{re.escape(packed)} is compressed, .* Type: shell ({expand} \S+), then: (core-file \S+)"
    match = re.fullmatch(sentence, said)
    assert match, said
    answers = gdbrun.run([f"shell {match.group(1)} 2>/dev/null", match.group(2), "py-bt --all"], interpreter,
                         exe=interpreter.exe, start=True)
    assert "in victims (" in answers[2].text


# ---- from another machine -------------------------------------------------------------------------------------------


class Elsewhere:
    """An interpreter in a folder that goes away: what a core leads to when it has come from another machine."""

    def __init__(self, root):
        found = some_interpreter("3.8-pyenv-stripped")
        self.root = str(root / "opt" / "service")
        self.prefix = os.path.dirname(os.path.dirname(found.exe))
        library = os.path.join(found.env["LD_LIBRARY_PATH"], "libpython3.8.so.1.0")
        os.makedirs(self.root)
        self.exe = shutil.copy(found.exe, os.path.join(self.root, "python3.8"))
        self.library = shutil.copy(library, self.root)
        self.interpreter = copy.copy(found)
        self.interpreter.exe = self.exe
        self.interpreter.env = {"LD_LIBRARY_PATH": self.root, "PYTHONHOME": self.prefix}


def build_id(path):
    """By readelf, and not by us."""
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)


def test_core_from_another_machine(tmp_path):
    there = Elsewhere(tmp_path)
    core, archive, here = str(tmp_path / "core"), str(tmp_path / "files.tar"), str(tmp_path / "sysroot")
    with target.Target(there.interpreter, "damage_scene.py", "ask") as scene:
        gdbrun.gcore(scene.pid, core)
        packed = gdbrun.run([f"py-info --collect {archive}"], there.interpreter, core=core)[0]
        truth = scene.testify()
    assert archive in packed.text and "missing" not in packed.text, packed.text + packed.error
    ids = {path: build_id(path) for path in (there.exe, there.library)}
    with tarfile.open(archive) as files:
        names = {"/" + member.name for member in files if member.isfile()}
        assert set(ids) <= names
        # Exactly what is mapped: code, and no file twice.
        mapped = {line for line in gdbrun.run(["info proc mappings"], there.interpreter, core=core)[0].text.split()
                  if line.startswith("/")}
        assert names <= mapped and all(".so" in name or "python" in name for name in names)
        files.extractall(here)
    for path in (there.exe, there.library):
        os.unlink(path)

    # Without the files: every command says so, py-info lists them with their build ids.
    answers = gdbrun.run(["py-bt", "py-info", "py-info --json", "py-threads"], there.interpreter, core=core,
                         exe="/bin/true")
    assert there.library in answers[0].error, answers[0].error
    assert "sysroot" in answers[0].error
    listed = answers[1].text
    for path, number in ids.items():
        assert re.search(rf"^  {re.escape(path)}  {number}$", listed, re.MULTILINE), listed
    assert "--collect" in listed and "set sysroot" in listed
    told = {file["path"]: file["build_id"] for file in json.loads(answers[2].text)["missing_files"]}
    assert {path: told[path] for path in ids} == ids

    # With what was packed: as if it were there.
    answers = gdbrun.run([WHOLE, "py-info --json"], there.interpreter, core=core, exe=here + there.exe,
                         setup=[f"set sysroot {here}"])
    compare.check(truth, json.loads(answers[0].text), holds_gil=0, what="with the packed files")
    assert json.loads(answers[1].text)["missing_files"] == []


# ---- where it runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["deleted", "upgraded"])
def test_binary_that_changed_since_it_started(tmp_path, how):
    """What is mapped is the truth: a path leads to nothing or to another build by now."""
    there = Elsewhere(tmp_path)
    with target.Target(there.interpreter, "damage_scene.py", "ask") as scene:
        os.unlink(there.library)
        if how == "upgraded":
            other = some_interpreter("3.9-pyenv-stripped")
            shutil.copy(os.path.join(other.env["LD_LIBRARY_PATH"], "libpython3.9.so.1.0"), there.library)
        answers = gdbrun.run([WHOLE, "py-info"], there.interpreter, pid=scene.pid)
        truth = scene.testify()
    compare.check(truth, json.loads(answers[0].text), holds_gil=0, what=how)
    assert answers[1].text.startswith("CPython 3.8"), answers[1].text


def test_another_pid_namespace_and_root(tmp_path):
    """As in a container: another root, and thread ids that are others inside."""
    interpreter = some_interpreter("3.11-deb-stripped")
    wrap = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    assert subprocess.run([*wrap, "true"], check=False).returncode == 0, "unshare(1) is needed, and the right to use it"
    kind = type("Contained", (target.Target,), {"command": lambda self, one: [*wrap, one.exe]})
    with kind(interpreter, "damage_scene.py", "ask") as scene:
        children = subprocess.run(["pgrep", "-P", str(scene.pid)], capture_output=True, text=True, check=True).stdout
        inside = int(children.split()[0])
        answers = gdbrun.run([WHOLE, "py-threads"], interpreter, pid=inside)
        truth = scene.testify()
    compare.check(truth, json.loads(answers[0].text), holds_gil=0, what="in namespaces of its own")
    assert len(answers[1].text.splitlines()) == 4


def test_attach_that_is_refused():
    """One line that says what forbids it."""
    interpreter = some_interpreter("3.11-deb-stripped")
    with target.Target(interpreter, "damage_scene.py", "ask") as scene:
        commands = [f"shell {gdbrun.gdb_executable()} -nx -batch -p {scene.pid} -ex 'source {gdbrun.paths.SCRIPT}' "
                    "-ex py-bt 2>&1 | tail -1"]
        traced = gdbrun.run(commands, interpreter, pid=scene.pid)[0].text.strip()
        mine = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        other = subprocess.run(
            [*mine, gdbrun.gdb_executable(), "-nx", "-batch", "-p", str(scene.pid), "-ex",
             f"source {gdbrun.paths.SCRIPT}", "-ex", "py-bt"], capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": "/"}).stderr.strip().splitlines()[-1]
    assert re.fullmatch(rf"Process {scene.pid} is traced by process \d+ .*", traced), traced
    assert re.fullmatch(rf"Process {scene.pid} belongs to root: run GDB as that user or as root\.", other), other


def test_a_process_that_is_gone():
    answer = gdbrun.run(["py-bt"], setup=[], pid=999999999, status=None)[0]
    assert answer.error.strip().splitlines()[-1] == "There is no process 999999999."
