"""The GDB side of pyext: describes the target, parses arguments, prints what the library answers.

Nothing here knows how CPython works; nothing in the library knows GDB.
"""

from . import command, native, parameters, session

# Importing a family declares its commands.
from .commands import duplicates, find, frames, gc, heap, info, objects, printing, threads, waste  # noqa: F401


def load(here):
    """Register everything. `here` is the directory of pyext.py."""
    native.HERE = here
    parameters.register()
    command.register_all()
    session.connect_events()
    from . import frame_filter, printers

    frame_filter.register()
    printers.register()


def unload():
    """Undo what would be there twice if the script is sourced again."""
    from . import printers

    printers.unregister()
    session.disconnect_events()
    session.close_all()
    session.drop_copies()
