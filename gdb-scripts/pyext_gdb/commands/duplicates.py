"""py-dup."""

from .. import session
from ..command import CHARS, JSON, command, option, positive, write

TYPE = option(
    "--type",
    choices=["str", "bytes", "tuple", "int", "float", "unicode", "long"],
    metavar="T",
    help="only str, bytes, tuple, int or float",
)
ROWS = option("--limit", type=positive, metavar="N", default=20, help="at most N rows (20)")


@command("py-dup", [TYPE, ROWS, CHARS, JSON])
def py_dup(_rest, **options):
    """List equal strings, bytes and numbers, and tuples of the same items, that are held many times.

    Those that waste most come first: wasted are the bytes of all copies but one.
    """
    write(session.ask_heap("dup", **options)["text"])
