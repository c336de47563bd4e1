"""py-find."""

import gdb

from .. import session
from ..command import CHARS, JSON, command, option, positive, quoted_words, write

TYPE = option("--type", metavar="T", help="of class T: module.Name, Name, or /regex/")
SUBCLASSES = option("--subclasses", action="store_true", help="and of its subclasses")
ATTR = option(
    "--attr", action="append", default=[], metavar="A[=V]", help="that have attribute A (whose text or repr is V)"
)
VALUE = option("--value", metavar="TEXT", help="strings, bytes and numbers with TEXT, or /regex/, in them")
SIZE = option("--size", metavar="RANGE", help="by size: '>1M', '<=512', '=64K'")
SHOWN = option("--limit", type=positive, metavar="N", default=20, help="at most N objects (20)")


@command("py-find", [TYPE, SUBCLASSES, ATTR, VALUE, SIZE, SHOWN, CHARS, JSON], words=quoted_words)
def py_find(_rest, **options):
    """Find objects of the process by type, attributes, value and size: address, type, size and value of each.

    py-find --type Order --attr number=1007
    py-find --type str --value '/order-[0-9]+/' --size '>1K'
    """
    if not (options["type"] or options["attr"] or options["value"] is not None or options["size"]):
        raise gdb.GdbError("py-find: which objects? For example: py-find --type dict --size '>1M'")
    write(session.ask_heap("find", **options)["text"])
