"""pyext for GDB: `source` this file, and GDB speaks Python.

Registers the py-* commands. Touches no target and loads no library: that happens at the first command.
"""

import os
import sys

import gdb


def _load():
    if sys.version_info < (3, 6):
        raise gdb.GdbError("pyext needs a GDB with Python 3.6 or later; this one has %s." % sys.version.split()[0])
    # GDB gives a relative __file__, and a symlink to this file stays one.
    here = os.path.dirname(os.path.realpath(os.path.abspath(__file__)))
    if here not in sys.path:
        sys.path.insert(0, here)
    for name in [name for name in sys.modules if name == "pyext_gdb" or name.startswith("pyext_gdb.")]:
        # Sourced again, perhaps after an upgrade: take the files as they are now.
        if name == "pyext_gdb":
            sys.modules[name].unload()
    for name in [name for name in sys.modules if name == "pyext_gdb" or name.startswith("pyext_gdb.")]:
        del sys.modules[name]
    import pyext_gdb

    pyext_gdb.load(here)


_load()
del _load
