"""py-heap."""

import gdb

from .. import session, words
from ..command import JSON, command, option, path, positive, write
from .objects import which

BY = option(
    "--by",
    choices=["kind", "type", "module", "size", "generation"],
    metavar="WHAT",
    default="kind",
    help="what a row is: kind (type; of dicts, whose they are; the default), type, module, size or generation",
)
OF = option("--of", metavar="EXPR,...", help="only these objects, named as in py-obj")
SORT = option(
    "--sort", choices=["size", "count", "kind"], metavar="HOW", default="size", help="by size, count or kind"
)
ROWS = option("--limit", type=positive, metavar="N", default=10, help="at most N rows; 10 if not given")
TYPE = option("--type", metavar="REGEX", help="only kinds whose name has a match, such as ^__main__\\.")
ALLOCATED = option(
    "--allocated", action="store_true", help="with the bytes of their blocks and of the tables that are theirs alone"
)
NATIVE = option(
    "--native", action="store_true", help="with the bytes that they have outside: buffers and memory maps"
)
CHECK = option(
    "--check", action="store_true", help="compare the references found with the reference counts instead"
)
COPY = option("--detach-copy", action="store_true", help="copy the process, and let it run on: the copy answers")
DROP = option("--drop-copy", action="store_true", help="forget the copy")
SAVE = option("--save", type=path, metavar="FILE", help="keep the census in FILE, for --diff")
DIFF = option("--diff", type=path, metavar="FILE", help="compare with FILE: what grew, and what is new")

#: What chooses, orders and widens the rows of a table, and which of it goes with the forms that are no table.
OF_TABLES = (BY, SORT, ROWS, TYPE, OF, ALLOCATED, NATIVE, JSON)
GOES_WITH = {
    "--check": (ROWS, JSON),
    "--save": (JSON,),
    "--diff": (BY, SORT, ROWS, TYPE, JSON),
    "--detach-copy": (JSON,),
    "--drop-copy": (),
    "more": (JSON,),
}

#: What was shown last, for `py-heap more`.
_last = {}


@command(
    "py-heap",
    [BY, SORT, ROWS, TYPE, OF, ALLOCATED, NATIVE, CHECK, SAVE, DIFF, COPY, DROP, JSON],
    rest="[more]",
    complete=lambda _text: ["more"],
)
def py_heap(rest, check, detach_copy, drop_copy, **options):
    """Count all objects of the process by kind, and their sizes as sys.getsizeof has them.

    No line of code runs in the process. `py-heap more` shows the next rows of the last table.
    py-heap --by generation --type ^__main__
    py-heap --of self.queue[0],self.pool,$rdi
    """
    _refuse(rest, dict(options, check=check, detach_copy=detach_copy, drop_copy=drop_copy))
    if drop_copy:
        if not session.drop_copy(gdb.selected_inferior().num):
            raise gdb.GdbError("py-heap: there is no copy.")
        return
    if detach_copy:
        write(session.copy_and_detach(json=options["json"])["text"])
        if not options["json"]:
            write("It is detached and runs on. The heap commands answer from the copy until: py-heap --drop-copy\n")
        return
    if check:
        answer = session.ask_heap("check", limit=options["limit"], json=options["json"])
    elif rest == "more":
        _last["skip"] += _last["limit"]
        answer = _ask(dict(_last, json=options["json"]))
    else:
        options["of"] = [which(one) for one in words.parts(options["of"] or "")]
        options["skip"] = 0
        if not options["save"]:
            _last.clear()
            _last.update(options)
        answer = _ask(options)
    write(answer["text"])


def _refuse(rest, options):
    if rest not in ("", "more"):
        raise gdb.GdbError("py-heap: what is '%s'? Type: help py-heap" % rest)
    forms = [form for form in GOES_WITH if options.get(_name(form))]
    if len(forms) > 1:
        names = "--check, --save, --diff, --detach-copy and --drop-copy"
        raise gdb.GdbError("py-heap: %s are commands of their own. Type one of them first." % names)
    if rest and not _last:
        raise gdb.GdbError("py-heap more: no table was shown. Type: py-heap")
    typed = [one for one in OF_TABLES if options[_name(one.flags[0])] not in (False, None, one.keywords.get("default"))]
    for form in ["more"] if rest else forms:
        wrong = [one.flags[0] for one in typed if one not in GOES_WITH[form]] + (forms if rest else [])
        if wrong:
            raise gdb.GdbError("py-heap: %s does not go with %s. Type: help py-heap" % (wrong[0], form))


def _name(flag):
    return flag.lstrip("-").replace("-", "_")


def _ask(options):
    # Names are looked for in the selected frame.
    return session.ask_heap("heap", named=bool(options["of"]), **options)
