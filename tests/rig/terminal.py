"""GDB at a real terminal: a pseudo-terminal that types and reads, as a person would."""

import fcntl
import itertools
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from . import gdbrun, paths

TIMEOUT = 120
PROMPT = b"(gdb) "
SYNC = "pyext-test-sync"
# Seconds after which a line is typed again that GDB may have taken for the end of an interrupted one.
RETYPE = 5
# Bracketed paste on and off, which readline writes around each line.
READLINE = re.compile(r"\x1b\[\?2004[hl]\r?")


class NoPrompt(AssertionError):
    """GDB did not come back to its prompt in time."""

    def __init__(self, timeout, said):
        super().__init__(f"no prompt within {timeout} s; so far: {said[-2000:]!r}")
        self.said = said


class Terminal:
    """A GDB with pyext loaded. `ask` types a line and returns what came before the next prompt, escapes and all."""

    def __init__(self, setup=(), columns=200, rows=50, gdb=None, pyext=True):
        argv = [gdb or gdbrun.gdb_executable(), "-nx", "-q"]
        for command in ("set debuginfod enabled off", "set auto-load python-scripts off", *setup):
            argv += ["-iex", command]
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            environment = dict(os.environ, TERM="xterm-256color", LC_ALL="C.UTF-8")
            environment.pop("PYTHONHOME", None)
            environment.pop("NO_COLOR", None)
            os.execvpe(argv[0], argv, environment)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, size)
        self.read()
        # Not the width that GDB found before the size was set.
        self.ask(f"set width {columns}")
        self.ask("set pagination off")
        self.ask("set confirm off")
        if pyext:
            self.ask(f"source {paths.SCRIPT}")

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def interrupt(self):
        """Ctrl-C, as the terminal's driver makes it of the key."""
        self.type("\x03")

    def read(self, timeout=TIMEOUT):
        """What comes until the next prompt."""
        out = bytearray()
        deadline = time.monotonic() + timeout
        while not out.endswith(PROMPT):
            ready, _, _ = select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise NoPrompt(timeout, self.text(out))
            try:
                got = os.read(self.descriptor, 1 << 16)
            except OSError:
                got = b""
            if not got:
                raise AssertionError(f"GDB ended; it wrote: {bytes(out[-2000:])!r}")
            out += got
        return self.text(out)

    def wait_for(self, words, timeout=TIMEOUT):
        """What comes until these words, while a command runs."""
        out = bytearray()
        deadline = time.monotonic() + timeout
        while words.encode() not in out:
            ready, _, _ = select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise NoPrompt(timeout, self.text(out))
            out += os.read(self.descriptor, 1 << 16)
        return self.text(out)

    def text(self, out):
        """What was read, as a person sees it."""
        return READLINE.sub("", bytes(out).decode("utf-8", "replace").replace("\r\n", "\n"))

    def settle(self, timeout=TIMEOUT):
        """What comes until GDB has done all that was typed, however many prompts that makes: a Ctrl-C in the middle of
        a line gives none, and what is typed next continues the line; one at the prompt gives another prompt.
        """
        said = ""
        deadline = time.monotonic() + timeout
        for attempt in itertools.count():
            sync = f"{SYNC}-{attempt}"
            self.type(f"echo {sync}\\n\n")
            until = min(deadline, time.monotonic() + RETYPE)
            while time.monotonic() < until:
                try:
                    said += self.read(until - time.monotonic())
                except NoPrompt as e:
                    said += e.said
                if re.search(rf"^{sync}\n.*{re.escape(PROMPT.decode())}$", said, re.MULTILINE):
                    return said
            if time.monotonic() >= deadline:
                raise NoPrompt(timeout, said)

    def ask(self, command, timeout=TIMEOUT):
        self.type(command + "\n")
        text = self.read(timeout)
        # The line as it was typed comes back first, the prompt stands at the end.
        return text.partition("\n")[2].removesuffix(PROMPT.decode())
