"""py-info."""

from .. import session
from ..command import JSON, command, option, write

VERBOSE = option("-v", "--verbose", dest="verbose", action="store_true", help="more: counters, times, each struct")


@command("py-info", [VERBOSE, JSON])
def py_info(_rest, verbose, json):
    """Tell which CPython this is, how it was found, where its layout comes from and how it was verified."""
    write(session.ask("info", verbose=verbose, json=json)["text"])
