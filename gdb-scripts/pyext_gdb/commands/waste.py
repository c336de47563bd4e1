"""py-waste."""

from .. import session
from ..command import JSON, command, option, positive, write

TYPE = option("--type", metavar="REGEX", help="only types whose name has a match, such as ^__main__\\.")
ROWS = option("--limit", type=positive, metavar="N", default=20, help="at most N objects, and N classes (20)")


@command("py-waste", [TYPE, ROWS, JSON])
def py_waste(_rest, **options):
    """List memory that is allocated and unused: room in lists, dicts, sets and bytearrays, and dicts of instances.

    Wasted are the bytes of an object that a copy made anew of its items would not take. Classes come last whose
    instances all have the same attributes and could have __slots__.
    """
    write(session.ask_heap("waste", **options)["text"])
