"""py-heap."""

import gdb

from .. import session, words
from ..command import JSON, command, option, positive, write
from .objects import which

BY = option(
    "--by",
    choices=["kind", "type", "module", "size", "generation"],
    metavar="WHAT",
    help="what a row is: kind (a type, and of dicts whose they are: where nothing is typed), type, module, size, generation",
)
OF = option("--of", metavar="EXPR,...", help="only these objects, named as in py-obj")
SORT = option(
    "--sort", choices=["size", "count", "kind"], metavar="HOW", default="size", help="by size, count or kind"
)
ROWS = option("--limit", type=positive, metavar="N", default=10, help="at most N rows; 10 if not given")
CHECK = option(
    "--check", action="store_true", help="compare the references found with the reference counts instead"
)
TYPE = option("--type", metavar="REGEX", help="only kinds whose name has a match, such as ^__main__\\.")
ALLOCATED = option(
    "--allocated", action="store_true", help="with the bytes of their blocks and of the tables that are theirs alone"
)
NATIVE = option(
    "--native", action="store_true", help="with the bytes that they have outside: buffers, deque blocks, memory maps"
)

#: What was shown last, for `py-heap more`.
_last = {}


@command(
    "py-heap",
    [BY, SORT, ROWS, TYPE, OF, ALLOCATED, NATIVE, CHECK, JSON],
    rest="[more]",
    complete=lambda _text: ["more"],
)
def py_heap(rest, check, **options):
    """Count all objects of the process by kind, and their sizes as sys.getsizeof has them.

    No line of code runs in the process. `py-heap more` shows the next rows of the last table.
    py-heap --by generation --type ^__main__
    py-heap --of self.queue[0],self.pool,$rdi
    """
    if rest not in ("", "more"):
        raise gdb.GdbError("py-heap: what is '%s'? Type: help py-heap" % rest)
    if check and rest:
        raise gdb.GdbError("py-heap --check has no more rows than --limit shows.")
    if check:
        write(session.ask_plain("check", limit=options["limit"], json=options["json"])["text"])
        return
    if rest == "more" and not _last:
        raise gdb.GdbError("py-heap more: no table was shown. Type: py-heap")
    if rest == "":
        # What tables take is known by type.
        options["by"] = options["by"] or ("type" if options["allocated"] or options["native"] else "kind")
        options["of"] = [which(one) for one in words.parts(options["of"] or "")]
        _last.clear()
        _last.update(options, skip=0)
    else:
        _last["skip"] += _last["limit"]
    # Names are looked for in the selected frame.
    ask = session.ask if _last["of"] else session.ask_plain
    write(ask("heap", **_last)["text"])
