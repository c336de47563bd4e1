"""py-gc."""

from .. import session
from ..command import CHARS, JSON, command, option, positive, write

OBJECTS = option("--limit", type=positive, metavar="N", default=10, help="at most N objects of gc.garbage (10)")


@command("py-gc", [OBJECTS, CHARS, JSON])
def py_gc(_rest, limit, chars, json):
    """Show the garbage collector: its generations, what it counted, its callbacks, and gc.garbage."""
    write(session.ask_heap("gc", limit=limit, chars=chars, json=json)["text"])
