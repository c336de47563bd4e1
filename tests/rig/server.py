"""gdbserver in front of a process."""

import re
import shutil
import subprocess

from . import gdbrun


def executable():
    found = shutil.which("gdbserver")
    if not found:
        raise gdbrun.GdbError("no gdbserver: run tools/setup.sh")
    return found


def pipe(pid):
    """What `target remote` takes: a gdbserver that GDB itself starts and talks to through a pipe."""
    return f"target remote | {executable()} --once - --attach {pid}"


class Server:
    """A gdbserver on a TCP port of its own choice, for one connection."""

    def __init__(self, pid):
        self.process = subprocess.Popen(
            [executable(), "--once", "127.0.0.1:0", "--attach", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = []
        for line in self.process.stderr:
            said.append(line)
            port = re.search(r"Listening on port (\d+)", line)
            if port:
                self.port = int(port.group(1))
                return
        self.close()
        raise gdbrun.GdbError("gdbserver listens on no port: " + "".join(said))

    def connect(self):
        return f"target remote 127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
