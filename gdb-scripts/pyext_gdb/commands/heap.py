"""py-heap."""

from .. import session
from ..command import JSON, command, option, positive, write

BY = option("--by", choices=["type"], metavar="WHAT", default="type", help="what a row is: type")
SORT = option(
    "--sort", choices=["size", "count", "kind"], metavar="HOW", default="size", help="size, count or kind; most first"
)
ROWS = option("--limit", type=positive, metavar="N", default=10, help="at most N rows (10)")


@command("py-heap", [BY, SORT, ROWS, JSON])
def py_heap(_rest, by, sort, limit, json):
    """Count all objects of the process by type, and their sizes as sys.getsizeof has them."""
    write(session.ask_plain("heap", by=by, sort=sort, limit=limit, json=json)["text"])
