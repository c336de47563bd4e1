"""Python in GDB's own backtrace: C frames that run Python frames are shown as those.

A C frame can run several Python frames (since 3.11); they share its level. The C frames between stay as they are.
"""

import functools
import itertools

import gdb
from gdb.FrameDecorator import FrameDecorator

from . import command, parameters, session, target, tokens


class _Variable:
    """An argument or a local variable of a Python frame, for GDB."""

    def __init__(self, name, text):
        self._name, self._text = name, text

    def symbol(self):
        return command.for_gdb(self._name)

    def value(self):
        return tokens.value(self._text)


class _PythonFrame(FrameDecorator):
    """A Python frame in the place of the C frame that runs it."""

    def __init__(self, base, frame, locals_of):
        super().__init__(base)
        self.frame, self.locals_of = frame, locals_of

    def function(self):
        return command.for_gdb(self.frame["function"])

    def filename(self):
        return command.for_gdb(self.frame["file"])

    def line(self):
        return self.frame["line"]

    def address(self):
        return None

    def frame_args(self):
        return [_Variable(name, text) for name, text in self.frame["args"]]

    def frame_locals(self):
        """GDB asks for these in `bt full` only."""
        return [_Variable(name, text) for name, text in self.locals_of() if [name, text] not in self.frame["args"]]


class _Filter:
    """GDB calls this for every backtrace."""

    def __init__(self):
        self.name, self.priority = "pyext", 100
        gdb.frame_filters[self.name] = self

    @property
    def enabled(self):
        # A registered filter changes how GDB prints frames even if it passes them on: off means not enabled.
        return self._enabled and parameters.frame_filter()

    @enabled.setter
    def enabled(self, value):
        self._enabled = value

    _enabled = True

    def filter(self, frames):
        try:
            python = _Python()
        except Exception:
            return frames  # no Python here, or it cannot be read: py-bt says why
        return itertools.chain.from_iterable(_expand(frame, python) for frame in frames) if python.groups else frames


class _Python:
    """The Python frames of one backtrace, by the stack pointer of the C frame that runs them."""

    def __init__(self):
        self.groups = dict(session.ask("natives")["data"])
        self._with_locals = None

    def locals(self, sp, number):
        """Name and text of the local variables of a frame; those of all frames are asked for once."""
        if self._with_locals is None:
            self._with_locals = dict(session.ask("natives", locals=True)["data"])
        return self._with_locals[sp][number]["locals"]


class _NativeFrame(FrameDecorator):
    """A C frame without a name, which GDB prints as `??` only where no filter is."""

    def function(self):
        name = super().function()
        # Where there is no symbol, GDB before 16 gives the pc and prints nothing for it, later ones `???`.
        return name if isinstance(name, str) and name != "???" else self.inferior_frame().name() or "??"


def _expand(frame, python):
    inferior = frame.inferior_frame()
    # What was inlined into the evaluation function, and what jumped to it, has its stack pointer too.
    if inferior.type() == gdb.NORMAL_FRAME:
        sp = target.stack_pointer(inferior)
        group = python.groups.get(sp)
        if group:
            return [
                _PythonFrame(frame, one, functools.partial(python.locals, sp, number))
                for number, one in enumerate(group)
            ]
    return [_NativeFrame(frame)]


def register():
    """Register the frame filter."""
    _Filter()
