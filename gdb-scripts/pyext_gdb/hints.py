"""Why there is no process and no core: what the user has tried, as far as GDB's command line and history tell."""

import os
import pwd
import re
import shlex

import gdb

#: How compressed files begin, and what expands them.
COMPRESSED = (
    (b"\x28\xb5\x2f\xfd", "zstd -d"),
    (b"\x1f\x8b", "gunzip -k"),
    (b"\xfd7zXZ\0", "unxz -k"),
    (b"BZh", "bunzip2 -k"),
    (b"\x04\x22\x4d\x18", "lz4 -d"),
)
ENDINGS = (".zst", ".gz", ".xz", ".bz2", ".lz4")
YAMA = "/proc/sys/kernel/yama/ptrace_scope"


def _words():
    """The words of GDB's own command line and of the last commands that were typed, newest last."""
    try:
        with open("/proc/self/cmdline", "rb") as cmdline:
            words = [os.fsdecode(word) for word in cmdline.read().split(b"\0")]
    except OSError:
        words = []
    for typed in re.findall(r"^ *\d+ +(.*)$", gdb.execute("show commands", to_string=True), re.M):
        words += typed.split(" ")
    # `-ex 'attach 1'` is one word of the command line.
    result = []
    for word in words:
        try:
            result += shlex.split(word)
        except ValueError:
            result += word.split(" ")
    return result


def _shown(text):
    """A text that cannot do anything to the terminal."""
    return "".join(c if c.isprintable() else "\\x%02x" % ord(c) for c in text)


def _compressed(path):
    """The command that expands a file, if it is compressed."""
    try:
        with open(path, "rb") as one:
            head = one.read(8)
    except OSError:
        return None
    return next((command for magic, command in COMPRESSED if head.startswith(magic)), None)


def _owner(pid):
    uid = os.stat("/proc/%d" % pid).st_uid
    try:
        return uid, pwd.getpwuid(uid).pw_name
    except KeyError:
        return uid, str(uid)


def _status(pid):
    with open("/proc/%d/status" % pid) as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def _refused(pid):
    """Why the process cannot be attached to, in one line; None if nothing forbids it."""
    try:
        uid, name = _owner(pid)
        status = _status(pid)
        tracer = int(status.get("TracerPid", "0"))
    except (OSError, ValueError):
        return "There is no process %d." % pid
    if status.get("State", "").startswith("Z"):
        return "Process %d has ended." % pid
    if tracer and tracer != os.getpid():
        return "Process %d is traced by process %d (another debugger, strace): end that first." % (pid, tracer)
    capable = int(_status(os.getpid()).get("CapEff", "0"), 16) >> 19 & 1  # CAP_SYS_PTRACE
    if capable:
        return None
    if uid != os.geteuid():
        return "Process %d belongs to %s: run GDB as that user or as root." % (pid, name)
    try:
        with open(YAMA) as setting:
            scope = int(setting.read())
    except (OSError, ValueError):
        scope = 0
    if scope == 3:
        return "kernel.yama.ptrace_scope is 3: attaching is forbidden until the machine restarts."
    if scope:
        text = "kernel.yama.ptrace_scope is %d: type as root `sysctl kernel.yama.ptrace_scope=0`, or run GDB as root."
        return text % scope
    return None


def no_target():
    """What to type where there is no process and no core."""
    words = _words()
    for word in reversed(words):
        command = _compressed(word) if word.endswith(ENDINGS) else None
        if command:
            text = "%s is compressed, which GDB cannot read. Type: shell %s %s, then: core-file %s"
            packed = shlex.quote(word)
            whole = os.path.splitext(word)[0] if packed == word else "FILE"
            return _shown(text % (word, command, packed, whole))
    for before, word in reversed(list(zip([""] + words, words))):
        option, _, value = word.partition("=")
        number = value if option in ("--pid", "-pid") else word if before in ("-p", "--pid", "-pid", "attach") else ""
        if re.fullmatch("[0-9]{1,10}", number):
            why = _refused(int(number))
            if why:
                return why
    return "No process and no core. Type: attach PID, or: core-file FILE"
