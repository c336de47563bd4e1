"""What GDB knows of its target, in the words of the library's requests."""

import os
import re
import tempfile

import gdb

from . import interrupts


def parameter(name, default=None):
    """A GDB parameter, where this GDB has it."""
    try:
        return gdb.parameter(name)
    except (gdb.error, RuntimeError):
        return default


def connection_type(inferior):
    """`native`, `core`, `remote`, ...; None where nothing runs."""
    connection = getattr(inferior, "connection", None)
    if connection is not None:
        return connection.type
    if hasattr(inferior, "connection"):
        return None
    # GDB 10 has no Inferior.connection.
    text = gdb.execute("info inferiors", to_string=True)
    match = re.search(r"^\*.*?\d+ \((\w[\w-]*)", text, re.M)
    return match.group(1) if match else None


def core_path(inferior):
    """The core file that is looked at."""
    corefile = getattr(inferior, "corefile", None)
    if corefile is not None:
        return os.path.abspath(corefile.filename)
    match = re.search(r"Local core dump file:\n\s*`(.*)', file type", gdb.execute("info files", to_string=True))
    return os.path.abspath(match.group(1)) if match else None


def key(inferior):
    """What tells one target from another."""
    kind = connection_type(inferior)
    if kind is None or inferior.pid == 0 and kind != "core":
        return None
    core = core_path(inferior) if kind == "core" else None
    stamp = None
    if core:
        try:
            stamp = os.stat(core).st_mtime
        except OSError:
            pass
    return (inferior.num, kind, inferior.pid, core, stamp)


def description(inferior):
    """The target for pyext_session_open, and the function that reads it where only GDB can."""
    kind = connection_type(inferior)
    native = kind == "native"
    result = {
        "pid": inferior.pid if native else None,
        "core": core_path(inferior) if kind == "core" else None,
        "executable": inferior.progspace.filename,
        "debug_directories": [d for d in (parameter("debug-file-directory") or "").split(":") if d],
        "sysroot": parameter("sysroot") or "",
        "debuginfod": parameter("debuginfod enabled") in ("on", True),
    }
    if native or result["core"]:
        return result, None
    result["mappings"] = _mappings(inferior.pid)
    return result, lambda address, length: bytes(inferior.read_memory(address, length))


def _mappings(pid):
    """Path, address range, file offset and permissions of what is mapped, where only GDB can ask: through gdbserver."""
    result = []
    number = r"(0x[0-9a-f]+)\s+"
    try:
        text = gdb.execute("info proc mappings", to_string=True)
    except gdb.error:
        return result
    line_of = re.compile(number + number + r"0x[0-9a-f]+\s+(0x[0-9a-f]+)(?:\s+([-rwxsp]{4}))?(?:\s+(\S.*))?$")
    for line in text.splitlines():
        match = line_of.match(line.strip())
        if match:
            start, end, offset = (int(n, 16) for n in match.groups()[:3])
            result.append([match.group(5) or "", start, end, offset, match.group(4)])
    if not any(permissions for *_, permissions in result):
        # GDB before 12.
        known = _permissions(pid)
        for one in result:
            # Anonymous memory is rarely anything else.
            one[4] = known.get(one[1]) or ("---p" if one[0].startswith("/") else "rw-p")
    return result


def _permissions(pid):
    """The permissions of mappings by their first address, as the kernel there tells them."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "maps")
            gdb.execute("remote get /proc/%d/maps %s" % (pid, path), to_string=True)
            with open(path) as lines:
                lines = [line.split() for line in lines]
    except (gdb.error, OSError):
        return {}
    return {int(words[0].split("-")[0], 16): words[1] for words in lines}


def _register(frame, name):
    try:
        return int(frame.read_register(name)) & 0xFFFFFFFFFFFFFFFF
    except (ValueError, gdb.error):
        return None


def _pthread(thread, frame):
    """pthread_self() in that thread: the thread pointer on x86-64, or what libthread_db says."""
    value = _register(frame, "fs_base") if frame is not None else None
    if value:
        return value
    try:
        return int.from_bytes(thread.handle()[:8], "little")
    except (gdb.error, AttributeError):
        return None


def _signed(value):
    return value - (1 << 64) if value is not None and value >= 1 << 63 else value


def _describe(thread, native):
    """The selected thread, with its backtrace if `native`."""
    try:
        frame = gdb.newest_frame()
    except gdb.error:
        frame = None  # it runs (non-stop), or its stack cannot be read at all
    result = {"gdb": thread.num, "lwp": thread.ptid[1] or thread.ptid[2], "running": thread.is_running()}
    result["pthread"] = _pthread(thread, frame)
    if frame is not None:
        result.update(
            pc=frame.pc(),
            sp=_register(frame, "rsp"),
            bp=_register(frame, "rbp"),
            orig_rax=_signed(_register(frame, "orig_rax")),
            args=[_register(frame, "rdi") or 0],
        )
        if native:
            result["native"] = native_frames()
    return result


class _KeepSelection:
    """Selecting a thread drops the selected frame: put both back. To be used within `interrupts.Quiet`."""

    def __enter__(self):
        self.thread = gdb.selected_thread()
        try:
            self.frame = gdb.selected_frame()
        except gdb.error:
            self.frame = None

    def __exit__(self, *_):
        try:
            self._restore()
        except KeyboardInterrupt:
            # GDB saw the Ctrl-C on its way, and forgot it.
            self._restore()
            raise

    def _restore(self):
        if self.thread is not None and self.thread.is_valid():
            self.thread.switch()
            if self.frame is not None and self.frame.is_valid():
                self.frame.select()


def threads(inferior, everything, native, remarks):
    """The selected thread, or all; with GDB's own backtraces if `native`. What GDB cannot tell goes to `remarks`."""
    selected = gdb.selected_thread()
    if selected is None:
        raise gdb.GdbError("No thread is selected. `info threads` lists them.")
    if not everything:
        return [_describe(selected, native)]
    result = []
    try:
        listed = inferior.threads()
    except gdb.error as e:
        # libthread_db cannot read a damaged core: Python's own list of threads has to do.
        remarks.append("GDB cannot list the threads: %s" % e)
        listed = (selected,)
    with interrupts.Quiet() as interrupted, _KeepSelection():
        for thread in listed:
            if interrupted.value:
                break
            if thread.is_valid():
                thread.switch()
                result.append(_describe(thread, native))
    return result


def selected_stack_pointer():
    """The stack pointer of the selected frame, if the user has gone up from the newest one."""
    try:
        frame = gdb.selected_frame()
        return None if frame == gdb.newest_frame() else _register(frame, "rsp")
    except gdb.error:
        return None


def stack_pointer(frame):
    """The stack pointer in a frame."""
    return _register(frame, "rsp")


def select_native(sp):
    """Select the frame with this stack pointer. Functions inlined into it share it: the outermost is meant."""
    frame, found = gdb.newest_frame(), None
    while frame is not None:
        here = _register(frame, "rsp")
        if here == sp:
            found = frame
        elif here is None or here > sp:
            break
        frame = frame.older()
    if found is not None:
        found.select()


def select_level(level):
    """Select the frame with this level."""
    frame = gdb.newest_frame()
    for _ in range(level):
        frame = frame.older()
    frame.select()


def selected_level():
    """The level of the selected frame. GDB 10 has no Frame.level()."""
    try:
        selected, frame = gdb.selected_frame(), gdb.newest_frame()
    except gdb.error:
        return None
    level = 0
    while frame is not None and frame != selected:
        frame, level = frame.older(), level + 1
    return level


def _pointer(frame, name):
    try:
        return int(frame.read_var(name)) & 0xFFFFFFFFFFFFFFFF
    except (ValueError, gdb.error):
        return None


def native_frames(wanted=None):
    """GDB's own backtrace of the selected thread; with names and the variables in `wanted`, if that is given."""
    frames = []
    try:
        frame = gdb.newest_frame()
        while frame is not None:
            name = frame.name() if wanted is not None else None
            variables = []
            for function, variable in wanted or ():
                if name and (name == function or function.endswith("*") and name.startswith(function[:-1])):
                    variables.append([variable, _pointer(frame, variable)])
            frames.append(
                {
                    "level": len(frames),
                    "pc": frame.pc(),
                    "sp": _register(frame, "rsp") or 0,
                    "inline": frame.type() != gdb.NORMAL_FRAME,
                    "name": name,
                    "variables": [v for v in variables if v[1] is not None],
                }
            )
            frame = frame.older()
    except gdb.error:
        pass  # an unwinder that fails ends the backtrace
    return frames


def substitutes():
    """`set substitute-path`: no gdb.parameter, only `show` tells."""
    text = gdb.execute("show substitute-path", to_string=True)
    return re.findall(r"^ *`(.*)' -> `(.*)'\.$", text, re.M)


def directories():
    """`directory`: where GDB looks for sources. $cdir means nothing for Python."""
    result = []
    for part in (parameter("directories") or "").split(":"):
        if part == "$cwd":
            result.append(os.getcwd())
        elif part and part != "$cdir":
            result.append(part)
    return result
