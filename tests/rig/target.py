"""Target programs: started with an interpreter, known to be ready, killed at the end; and the cores of them.

Nothing here waits by sleeping: a target says through a FIFO that it stands still; the end of a process is waited for.
"""

import glob
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from . import paths

READY_TIMEOUT = 120
SETTLE_TIMEOUT = 0.5
CORE_PATTERN = "/proc/sys/kernel/core_pattern"
UNLIMITED_CORE = ["sh", "-c", 'ulimit -c unlimited && exec "$@"', "sh"]


class TargetError(Exception):
    pass


class Target:
    """A running target program, in a directory of its own that goes away with it.

    mode "sleep": it has written the truth and stands still.
    mode "ask":   it stands still and has written nothing yet; `testify` makes it write the truth. What is looked at
                  before that was not touched by the writing (which creates frame objects and dicts of locals).
    mode "abort", "segv": it writes the truth and dies of it; see `kernel_core`.
    """

    def __init__(self, interpreter, program, mode="sleep", extra=(), env=None, keep=False):
        if interpreter.missing:
            raise TargetError(f"{interpreter.id} is missing: {interpreter.reason}")
        self.interpreter = interpreter
        self.mode = mode
        self.dir = tempfile.mkdtemp(prefix="pyext-")
        self.keep = keep
        self.out = os.path.join(self.dir, "truth.json")
        self.fifo = os.path.join(self.dir, "ready")
        self.log = os.path.join(self.dir, "log")
        os.mkfifo(self.fifo)
        self.program = program if os.path.isabs(program) else os.path.join(paths.TARGETS, program)
        # The locale is fixed: it decides how co_filename was decoded. So is the hash seed: a failure has to come back.
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "LC_ALL": "C.UTF-8",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            # GDB writes the 64 MiB that each of malloc's arenas reserves into its cores.
            "MALLOC_ARENA_MAX": "1",
        }
        environment.update(interpreter.env)
        environment.update(env or {})
        # Open before the target opens it, whose open() blocks until somebody reads; and for writing too, so that there
        # is no end of file between one message and the next.
        self._fifo = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*UNLIMITED_CORE, *self.command(interpreter), self.program, self.out, self.fifo, mode, *extra],
                cwd=self.dir,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.pid = self.process.pid
        if mode in ("sleep", "ask"):
            try:
                self._wait_ready()
            except BaseException:
                self.close()
                raise

    def command(self, interpreter):
        """How the interpreter is started."""
        return [interpreter.exe]

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.stdin.close()
        self.process.wait()
        if self._fifo is not None:
            os.close(self._fifo)
            self._fifo = None
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def output(self):
        with open(self.log, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def truth(self):
        with open(self.out, "rb") as source:
            return json.loads(source.read().decode("ascii"))

    def testify(self):
        """Mode "ask": have the target write the truth about the state in which it stands since it was ready."""
        assert self.mode == "ask"
        self.process.stdin.write(b"!")
        self.process.stdin.flush()
        self._wait_ready()
        return self.truth()

    def _wait_ready(self):
        """A byte through the FIFO is "ready"; the end of the process is not."""
        deadline = time.monotonic() + READY_TIMEOUT
        pidfd = os.pidfd_open(self.pid)
        try:
            while True:
                readable, _, _ = select.select([self._fifo, pidfd], [], [], 1)
                if self._fifo in readable:
                    os.read(self._fifo, 1)
                    self._settle()
                    return
                if pidfd in readable:
                    code = self.process.wait()
                    raise TargetError(f"{self} ended with {code} before it was ready:\n{self.output()}")
                if time.monotonic() > deadline:
                    raise TargetError(f"{self} was not ready within {READY_TIMEOUT} s:\n{self.output()}")
        finally:
            os.close(pidfd)

    def _settle(self):
        """What is ready goes on to wait, which on a busy machine can take a while; some never wait."""
        deadline = time.monotonic() + SETTLE_TIMEOUT
        while time.monotonic() < deadline:
            try:
                with open(f"/proc/{self.pid}/stat") as stat:
                    state = stat.read().rpartition(")")[2].split()[0]
            except OSError:
                return
            if state != "R":
                return
            os.sched_yield()

    def __str__(self):
        return f"{os.path.basename(self.program)} on {self.interpreter.id} (pid {self.pid})"

    def kernel_core(self):
        """The core that the kernel wrote when the target died of its own signal."""
        assert self.mode in ("abort", "segv")
        try:
            code = self.process.wait(READY_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise TargetError(f"{self} did not die:\n{self.output()}") from None
        wanted = signal.SIGABRT if self.mode == "abort" else signal.SIGSEGV
        if code != -wanted:
            raise TargetError(f"{self} ended with {code} instead of signal {wanted:d}:\n{self.output()}")
        cores = glob.glob(os.path.join(self.dir, "core*"))
        if len(cores) != 1:
            raise TargetError(why_no_core())
        return cores[0]


def why_no_core():
    with open(CORE_PATTERN) as source:
        pattern = source.read().strip()
    return (
        f"the kernel wrote no core into the working directory: {CORE_PATTERN} is {pattern!r}; "
        "the tests need a plain file name: sysctl kernel.core_pattern=core"
    )


def kernel_cores_possible():
    with open(CORE_PATTERN) as source:
        pattern = source.read().strip()
    return not pattern.startswith("|") and "/" not in pattern and pattern.startswith("core")

