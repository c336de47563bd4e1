"""py-info."""

from .. import collect as archive
from .. import session
from ..command import JSON, command, option, path, write

VERBOSE = option("-v", "--verbose", dest="verbose", action="store_true", help="more: counters, times, each struct")
COLLECT = option(
    "--collect",
    type=path,
    metavar="FILES.tar",
    help="pack the files that the target maps, for a machine without them",
)


@command("py-info", [VERBOSE, COLLECT, JSON])
def py_info(_rest, verbose, collect, json):
    """Tell which CPython this is, how it was found, where its layout comes from and how it was verified.

    At the end stands what could not be read, and what can be done about it.
    """
    if collect is None:
        write(session.ask("info", verbose=verbose, json=json)["text"])
        return
    files = session.ask_plain("files")["data"]
    packed = archive.pack(files, collect)
    text = "%d files are in %s. Where the core is looked at: unpack it into DIR, then `set sysroot DIR`.\n"
    write(text % (packed, collect))
    for one in files:
        if not one["file"]:
            write("missing here: %s (build id %s)\n" % (one["path"], one["build_id"] or "not known"))
