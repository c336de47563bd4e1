"""One fresh `gdb -nx -batch` per question, with pyext loaded, and the output of each command apart."""

import glob
import os
import re
import shutil
import subprocess

from . import paths

TIMEOUT = 300
# Whatever a test expects, these words mean that something broke that nobody asked for.
BROKEN = ("Python Exception", "internal-error", "Traceback (most recent call last)", "panicked at")


class GdbError(AssertionError):
    pass


class Answer:
    """What one command printed: `text` on stdout, `error` on stderr; of `timed`, the `seconds` that it took."""

    def __init__(self, command, text, error):
        self.command = command
        self.text = text
        self.error = error
        self.seconds = None

    def __str__(self):
        return self.text


def gdb_executable():
    """$PYEXT_GDB, for runs with another release of GDB, else the one on the path."""
    gdb = os.environ.get("PYEXT_GDB") or shutil.which("gdb")
    if not gdb:
        raise GdbError("no gdb: run tools/setup.sh")
    return gdb


def run(
    commands,
    interpreter=None,
    pid=None,
    core=None,
    exe=None,
    pyext=True,
    timeout=TIMEOUT,
    setup=(),
    status=0,
    env=None,
    gdb=None,
    start=False,
):
    """Attach to `pid`, or open `core` with its executable, run `commands`, and return an Answer for each.

    With `start`, the commands start the program `exe` themselves.

    `setup` are GDB commands before the attach. `status` None accepts any exit status of GDB (the last command's).
    """
    exe = exe or (interpreter.exe if interpreter and core else None)
    argv = [gdb or gdb_executable(), "-nx", "-batch"]
    before = ["set debuginfod enabled off", "set auto-load python-scripts off"]
    if interpreter is not None:
        # An empty list, and not the system's directory, so that an interpreter without debug information stays without.
        before.append("set debug-file-directory %s" % (":".join(interpreter.debug_dirs) or "/nonexistent"))
    for command in before + list(setup):
        argv += ["-iex", command]
    if core is not None:
        argv += [exe, core] if exe else ["-core", core]
    elif pid is not None:
        argv += ["-p", str(pid)]
    elif start:
        argv += [exe]
    if pyext:
        argv += ["-ex", f"source {paths.SCRIPT}"]
    for number, command in enumerate(commands):
        argv += ["-ex", _mark(number), "-ex", command]
    argv += ["-ex", _mark(len(commands))]
    # GDB's exit status is that of its last command, which is a mark: what a command complained of is in its `error`.
    environment = dict(os.environ, LC_ALL="C.UTF-8", **(env or {}))
    environment.pop("PYTHONHOME", None)
    process = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment,
        timeout=timeout,
        check=False,
    )
    out = process.stdout.decode("utf-8", "surrogateescape")
    err = process.stderr.decode("utf-8", "surrogateescape")
    for word in BROKEN:
        for text in (out, err):
            head, found, tail = text.partition(word)
            if found:
                raise GdbError(f"GDB said: {head[-500:]}{word}{tail[:2000]}\n--- of {argv}")
    if status is not None and process.returncode != status:
        raise GdbError(
            f"GDB ended with {process.returncode}: {argv}\n--- stdout\n{out[-6000:]}\n--- stderr\n{err[-6000:]}"
        )
    texts, errors = _split(out, len(commands), argv, err), _split(err, len(commands), argv, out)
    return [Answer(command, texts[i], errors[i]) for i, command in enumerate(commands)]


def timed(commands, *arguments, **options):
    """As `run`, with the processor's time that GDB took for each command: other programs may run here too."""
    asked = []
    for command in commands:
        asked += ["python import time; pyext_test_start = time.process_time()", command,
                  "python print('%.3f' % (time.process_time() - pyext_test_start))"]
    answers = run(asked, *arguments, **options)
    for number, answer in enumerate(answers[1::3]):
        answer.seconds = float(answers[3 * number + 2].text)
    return answers[1::3]


def _mark(number):
    text = f"\\n=== rig {number} ===\\n"
    return f'python gdb.write("{text}"); gdb.flush(); gdb.write("{text}", gdb.STDERR); gdb.flush(gdb.STDERR)'


def _split(text, count, argv, other):
    parts = []
    for number in range(count + 1):
        head, mark, text = text.partition(f"\n=== rig {number} ===\n")
        if not mark:
            raise GdbError(
                f"GDB stopped before mark {number}: {argv}\n"
                f"--- this stream\n{head[-6000:]}\n--- the other\n{other[-6000:]}"
            )
        parts.append(head)
    return parts[1:]


# Not the vsyscall page, which nobody can read.
LOST = re.compile(r"Memory read failed for corefile section, \d+ bytes at 0x(?!ffffffff)[0-9a-f]+")


def lost_memory(reply):
    """Did `generate-core-file` leave memory out?

    Since glibc 2.42 on Linux 6.13 a thread's guard pages lie inside of its stack's mapping (MADV_GUARD_INSTALL). GDB up
    to 16 gives up a mapping at the first page that it can not read, so that all stacks but the main thread's are zeros.
    """
    return LOST.search(reply.error) or LOST.search(reply.text)


def newest_gdb():
    """The newest of those that tools/targets.sh unpacked."""
    found = glob.glob(os.path.join(paths.cache(), "targets", "gdb-*", "bin", "gdb"))
    if not found:
        raise GdbError("what this GDB cannot do needs a newer one, and there is none: run tools/setup.sh")
    return max(found, key=lambda path: int(re.search(r"gdb-(\d+)", path).group(1)))


RELEASES = ("gdb10", "gdb-16", "gdb-17", "gdb-18")


def release(name):
    """The executable of one of RELEASES, which tools/targets.sh unpacked."""
    found = sorted(glob.glob(os.path.join(paths.cache(), "targets", name, "bin", "gdb")))
    # GDB 10 needs its own Python and data: it is started by a script of that name.
    found += [path for path in [os.path.join(paths.cache(), "targets", name)] if os.path.isfile(path)]
    if not found:
        raise GdbError(f"{name} is not unpacked below the cache's targets: run tools/setup.sh")
    return found[0]


def switch(pid, number):
    """A command that selects the thread that was started as number `number`: GDBs do not agree on their order."""
    lwp = sorted(os.listdir(f"/proc/{pid}/task"), key=int)[number - 1]
    return f"python [thread.switch() for thread in gdb.selected_inferior().threads() if thread.ptid[1] == {lwp}]"


def call(commands, interpreter, pid):
    """An Answer for each of `commands`, which call functions in the process, in a GDB without our extension.

    It is a newer one: GDB 13 cannot write the registers of processors with AMX ("Couldn't write extended state status:
    Bad address"), and leaves a process behind that it has half changed.
    """
    return run(commands, interpreter, pid=pid, pyext=False, gdb=newest_gdb())


def gcore(pid, path, timeout=TIMEOUT):
    """A core by GDB's own `generate-core-file`, in a GDB without our extension; by a newer one if need be."""
    command = [f"generate-core-file {path}"]
    reply = run(command, pid=pid, pyext=False, timeout=timeout)[0]
    if lost_memory(reply):
        reply = run(command, pid=pid, pyext=False, timeout=timeout, gdb=newest_gdb())[0]
    if lost_memory(reply) or not os.path.exists(path):
        raise GdbError(f"no whole core by generate-core-file: {reply.text}\n{reply.error}")
    return path
