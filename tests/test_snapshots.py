"""py-heap --save and --diff: against what forked children of the process wrote about its own classes at two stops."""

import json
import os
import signal

import pytest
from rig import gdbrun, interpreters, target

MATRIX = [one for one in interpreters.load() if one.required]
SOME = [one for one in MATRIX if one.minor in ((2, 7), (3, 8), (3, 11), (3, 14))]
OWN = "^(__main__[.]|dict.of.__main__[.]Holder)"
ALL = "--limit 60000 --json"


def answered(answer):
    assert answer.text, answer.error
    return json.loads(answer.text)


def first_truth(scene):
    with open(scene.out + ".first", encoding="ascii") as source:
        return json.load(source)


def saved(answer):
    """How many bytes an object takes in the file, all told."""
    found = answered(answer)
    assert not found["diagnostics"]
    assert os.path.getsize(found["file"]) == found["bytes"]
    return found["bytes"] / found["objects"]


def compare(found, then, now, same=True):
    """Numbers, sizes, and every single object that is new or gone."""
    assert found["same_process"] is same
    rows = {row["kind"]: row for row in found["rows"]}
    # Classes of which there is no object have no row.
    assert set(rows) == set(then) | set(now)
    nothing = {"addresses": [], "size": 0}
    new = {}
    for kind, row in rows.items():
        before, after = then.get(kind, nothing), now.get(kind, nothing)
        assert (row["count_then"], row["count"]) == (len(before["addresses"]), len(after["addresses"])), kind
        assert (row["size_then"], row["size"]) == (before["size"], after["size"]), kind
        new[kind] = set(after["addresses"]) - set(before["addresses"])
        gone = set(before["addresses"]) - set(after["addresses"])
        assert (row["new"], row["gone"]) == ((len(new[kind]), len(gone)) if same else (None, None)), kind
    listed = {(one["type"], one["address"]) for one in found["new_objects"]}
    assert listed == ({(kind.split(" of ")[0], address) for kind in new for address in new[kind]} if same else set())
    grown = [row["size"] - row["size_then"] for row in found["rows"]]
    assert grown == sorted(grown, reverse=True)
    total = found["total"]
    assert total["count"] == sum(len(kind["addresses"]) for kind in now.values())
    assert total["size_then"] == sum(kind["size"] for kind in then.values())
    return rows


def changed(then, now, prefix=""):
    """How many objects of these kinds are new, and gone."""
    then, now = (
        {(kind, one) for kind in truth if kind.startswith(prefix) for one in truth[kind]["addresses"]}
        for truth in (then, now)
    )
    return len(now - then), len(then - now)


def diff(file):
    return f"py-heap --diff {file} --type {OWN} {ALL}"


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter, tmp_path):
    """And the core of the second stop, and the same stop twice."""
    file, core = str(tmp_path / "first"), str(tmp_path / "core")
    with target.Target(interpreter, "snapshots_scene.py", "ask") as scene:
        same = [f"py-heap --save {file} --json", f"py-heap --diff {file} --json"]
        answers = gdbrun.run(same, interpreter, pid=scene.pid)
        assert 2 < saved(answers[0]) < 3
        found = answered(answers[1])
        assert found["same_process"] and not found["new_objects"] and not found["diagnostics"]
        assert (found["total"]["new"], found["total"]["gone"]) == (0, 0)
        assert all(row["count"] == row["count_then"] and row["size"] == row["size_then"] for row in found["rows"])
        now = scene.testify()
        then = first_truth(scene)
        (answer,) = gdbrun.run([diff(file)], interpreter, pid=scene.pid)
        gdbrun.gcore(scene.pid, core)
    rows = compare(answered(answer), then, now)
    assert rows["__main__.Late"]["count"] == 70 and rows["__main__.Number"]["gone"] == 600
    assert rows["__main__.Node"]["new"] == 1500 and rows["__main__.Large"]["count"] == 75
    (answer,) = gdbrun.run([diff(file)], interpreter, core=core)
    compare(answered(answer), then, now)


@pytest.mark.parametrize("interpreter", SOME, ids=str)
def test_cores(interpreter, tmp_path):
    """One by GDB, one by the kernel."""
    file, core = str(tmp_path / "first"), str(tmp_path / "core")
    with target.Target(interpreter, "snapshots_scene.py", "abort") as scene:
        scene._wait_ready()
        gdbrun.gcore(scene.pid, core)
        answers = gdbrun.run([f"py-heap --save {file} --json"], interpreter, core=core)
        saved(answers[0])
        scene.process.stdin.write(b"!")
        scene.process.stdin.flush()
        last = scene.kernel_core()
        (answer,) = gdbrun.run([diff(file)], interpreter, core=last)
        compare(answered(answer), first_truth(scene), scene.truth())


def test_another_process(tmp_path):
    """Numbers of two processes, and of a process and a fork of it."""
    (interpreter,) = (one for one in MATRIX if one.id == "3.13-pyenv")
    file = str(tmp_path / "first")
    with target.Target(interpreter, "snapshots_scene.py", "ask") as scene:
        gdbrun.run([f"py-heap --save {file}"], interpreter, pid=scene.pid)
        then = first_truth(scene)
    with target.Target(interpreter, "snapshots_scene.py", "ask") as scene:
        now = scene.testify()
        answer, text = gdbrun.run([diff(file), f"py-heap --diff {file}"], interpreter, pid=scene.pid)
    found = answered(answer)
    compare(found, then, now, same=False)
    (remark,) = found["diagnostics"]
    assert remark["what"].startswith("the snapshot is of another process: only numbers")
    assert "are new since" not in text.text and "note: the snapshot is of another process" in text.text


def test_texts(tmp_path):
    (interpreter,) = (one for one in MATRIX if one.id == "3.11-deb-stripped")
    file = str(tmp_path / "a file")
    with target.Target(interpreter, "snapshots_scene.py", "ask") as scene:
        home = {"HOME": str(tmp_path)}
        (answer,) = gdbrun.run(["py-heap --save '~/a file'"], interpreter, pid=scene.pid, env=home)
        assert answer.text.split(" objects are in ")[1].startswith(f"{file}: {os.path.getsize(file)} bytes, in ")
        then, now = first_truth(scene), scene.testify()
        commands = [
            f"cd {tmp_path}",
            f'py-heap --diff "a file" --type {OWN} --limit 3',
            *["py-heap more"] * 4,
            "py-heap --diff 'a file' --by module --json",
            "py-heap --diff 'a file' --type (",
        ]
        answers = gdbrun.run(commands, interpreter, pid=scene.pid)
    lines = answers[1].text.splitlines()
    assert lines[0].startswith(f"Compared with {file}: process {scene.pid}, Python 3.11.2, 20")
    assert [line.split()[-1] for line in lines[2:6]] == ["__main__.Row", "__main__.Node", "__main__.Large", "(all)"]
    assert lines[3].split()[:3] == ["3000", "4500", "+1500"]
    assert lines[6] == "<7 more rows. Type `py-heap more` to see them.>"
    new, gone = changed(then, now)
    assert lines[8] == f"{new} objects are new since then, {gone} of then are gone."
    assert lines[11].split() == ["1500", "0", "__main__.Node"]
    assert lines[15] == "3 of the new objects:"
    assert all(line.startswith("0x") and ("__main__." in line or " dict " in line) for line in lines[16:19])
    assert [len(answer.text.splitlines()) for answer in answers[2:5]] == [5, 5, 2]
    assert answers[5].text.splitlines()[-1] == "<No more rows.>"
    modules = {row["kind"]: row for row in answered(answers[6])["rows"]}
    assert (modules["__main__"]["new"], modules["__main__"]["gone"]) == changed(then, now, "__main__.")
    assert answers[7].error.startswith("--type: ") and answers[7].error.count("\n") == 1


def damage(whole, directory):
    """Files that are no snapshots, and the words that refuse them."""
    made = {}
    for i in range(40):
        other = bytearray(whole)
        other[i] ^= 0xFF
        made[f"flipped-{i}"] = (bytes(other), "no snapshot" if i < 8 else "has format" if i < 12 else "is damaged")
    for length in (*range(0, 40), len(whole) // 3, len(whole) // 2, len(whole) - 5, len(whole) - 1):
        made[f"cut-{length}"] = (whole[:length], "no snapshot" if length < 8 else "is damaged")
    made["version"] = (whole[:8] + b"\x01" + whole[9:], "this snapshot has format 1, and this pyext reads format 2")
    made["longer"] = (whole + b"\0", "is damaged")
    made["huge"] = (whole[:12] + b"\xff\xff\xff\x7f" + whole[16:], "is damaged")
    for name, (data, _) in made.items():
        with open(os.path.join(directory, name), "wb") as out:
            out.write(data)
    os.mkdir(os.path.join(directory, "directory"))
    os.mkfifo(os.path.join(directory, "fifo"))
    os.symlink("/dev/zero", os.path.join(directory, "device"))
    words = {name: words for name, (_, words) in made.items()}
    words.update(directory="not a regular file", fifo="not a regular file", device="not a regular file")
    words["nothing"] = "No such file"
    return words


def test_damaged_files_are_refused(tmp_path):
    (interpreter,) = (one for one in MATRIX if one.id == "3.11-deb-stripped")
    with target.Target(interpreter, "snapshots_scene.py", "ask") as scene:
        file = str(tmp_path / "first")
        gdbrun.run([f"py-heap --save {file}"], interpreter, pid=scene.pid)
        with open(file, "rb") as source:
            words = damage(source.read(), str(tmp_path))
        commands = [f"py-heap --diff {tmp_path / name}" for name in words]
        answers = gdbrun.run([*commands, diff(file)], interpreter, pid=scene.pid)
    for (name, expected), answer in zip(words.items(), answers[:-1], strict=True):
        assert not answer.text
        assert answer.error.startswith(f"{tmp_path / name}: ") and answer.error.count("\n") == 1
        assert expected in answer.error, answer.error
    assert answered(answers[-1])["total"]["new"] == 0


def test_a_failing_write_leaves_the_old_file(tmp_path):
    (interpreter,) = (one for one in MATRIX if one.id == "3.11-deb-stripped")
    file, other = tmp_path / "first", tmp_path / "precious"
    other.write_bytes(b"not a snapshot")
    os.symlink("first", tmp_path / "link")
    with target.Target(interpreter, "snapshots_scene.py", "ask") as scene:
        gdbrun.run([f"py-heap --save {file}"], interpreter, pid=scene.pid)
        old = file.read_bytes()
        scene.testify()
        limited = "python import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))"
        answers = gdbrun.run(
            [
                f"py-heap --save {other}",
                "py-heap --save /dev/full",
                f"py-heap --save {tmp_path}",
                f"py-heap --save {tmp_path}/none/file",
                "py-heap --save /proc/self/pyext",
                "py-heap --save",
                f"py-heap --save {file} --diff {file}",
                limited,
                f"py-heap --save {file}",
                f"py-heap --save {tmp_path}/new",
                f"py-heap --diff {file} --json",
            ],
            interpreter,
            pid=scene.pid,
        )
        refused = [answers[i].error for i in (0, 1, 2, 3, 4, 5, 6, 8, 9)]
        assert all(error.count("\n") == 1 for error in refused)
        words = ["is no snapshot", "not a regular file", "not a regular file", "No such file", "No such file"]
        words += ["argument --save: invalid path value", "are commands of their own"]
        words += ["File too large", "File too large"]
        assert all(word in error for word, error in zip(words, refused, strict=True)), refused
        assert other.read_bytes() == b"not a snapshot" and file.read_bytes() == old
        assert answered(answers[-1])["total"]["new"] > 2000
        gdbrun.run([f"py-heap --save {tmp_path}/link"], interpreter, pid=scene.pid)
        assert file.read_bytes() != old and os.path.islink(tmp_path / "link")
    assert sorted(os.listdir(tmp_path)) == ["first", "link", "precious"]


@pytest.mark.parametrize("interpreter", SOME, ids=str)
def test_two_stops_of_one_session(interpreter, tmp_path):
    file = str(tmp_path / "first")
    with target.Target(interpreter, "snapshots_scene.py", "ask", ["trap"]) as scene:
        write = f"python out = open('/proc/{scene.pid}/fd/0', 'wb'); out.write(b'!'); out.close()"
        commands = [f"py-heap --save {file}", write, "continue", diff(file)]
        answers = gdbrun.run(commands, interpreter, pid=scene.pid)
        assert "SIGTRAP" in answers[2].text
        compare(answered(answers[3]), first_truth(scene), scene.truth())


def test_a_fork(tmp_path):
    """What the child has made is new; what it has from its parent is at its place."""
    (interpreter,) = (one for one in MATRIX if one.id == "3.12-pyenv")
    file = str(tmp_path / "first")
    with target.Target(interpreter, "snapshots_scene.py", "ask", ["fork"]) as scene:
        gdbrun.run([f"py-heap --save {file}"], interpreter, pid=scene.pid)
        now = scene.testify()
        with open(scene.out + ".pid", encoding="ascii") as source:
            child = int(source.read())
        try:
            (answer,) = gdbrun.run([diff(file)], interpreter, pid=child)
        finally:
            os.kill(child, signal.SIGKILL)
        found = answered(answer)
        compare(found, first_truth(scene), now)
    (remark,) = found["diagnostics"]
    assert remark["what"].startswith(f"the snapshot is of process {scene.pid}, and this is process {child}: if one is")


def test_files_complete(tmp_path):
    for name in ("one.snapshot", "other-2.snapshot", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "older").mkdir()
    typed = [f"py-heap --save {tmp_path}/o", f"py-heap --diff {tmp_path}/other-", f"py-heap --diff {tmp_path}/.",
             "py-heap --diff /nowhere/o", "py-heap --sa"]
    answers = gdbrun.run([f"complete {one}" for one in typed])
    found = [[line.split("/")[-1] or line.split("/")[-2] for line in one.text.splitlines()] for one in answers[:4]]
    assert found == [["older", "one.snapshot", "other-2.snapshot"], ["other-2.snapshot"], [".hidden"], []]
    assert answers[4].text == "py-heap --save\n"
