"""py-threads."""

from .. import session
from ..command import JSON, command, write


@command("py-threads", [JSON])
def py_threads(_rest, json):
    """List all threads: Python name, interpreter, who holds the GIL, what each does, its innermost Python frame."""
    write(session.ask("threads", True, json=json)["text"])
