"""The demo's part inside of GDB: shows commands with what they print, and checks it.

$SHOP_PID is a process to attach to, of which a core is written to $SHOP_CORE; without it that core is looked at.
GDB ends with status 1 if a command did not show what the program is known to do.
"""

import json
import os
import re

import gdb

failures = []
AT_GET = r"with self\.lock:"


def run(command):
    try:
        return gdb.execute(command, to_string=True)
    except gdb.error as e:
        return "%s\n" % e


def show(command, *expected):
    """Run a command and print it with its output, which must match each of the regular expressions."""
    text = run(command)
    gdb.write("(gdb) %s\n%s\n" % (command, text))
    for one in expected:
        if not re.search(one, text, re.M):
            failures.append("%s: nothing there matches %r" % (command, one))


def say(text):
    gdb.write("# %s\n" % text)


def number_of(name):
    """GDB's number of the thread that Python calls `name`."""
    try:
        threads = json.loads(run("py-threads --json"))["threads"]
    except ValueError:
        threads = []
    for thread in threads:
        if thread["name"] == name and thread["gdb"] is not None:
            return thread["gdb"]
    failures.append("no thread is called %s" % name)
    return 1


def select(name):
    # The command `thread N` prints the C frame too, source line and all, whatever its output is sent to.
    number = number_of(name)
    gdb.write("(gdb) thread %d\n\n" % number)
    for thread in gdb.selected_inferior().threads():
        if thread.num == number:
            thread.switch()


def table():
    say("Who is there? Three workers in Prices.get, a refresher in Prices.refresh, the main thread waits for them.")
    worker = r'^.* order-worker-%d .* in a C call +Prices\.get|^.* order-worker-%d .* in a C call +get '
    show(
        "py-threads",
        *[worker % (n, n) for n in (1, 2, 3)],
        r" MainThread.* in a C call ",
        r" price-refresher .* in a C call .*refresh "
    )


def stack():
    say("Where is a worker, and why? It waits for a lock.")
    select("order-worker-2")
    innermost = r"^#0 Frame 0x\w+, for file .*shop\.py, line \d+, in .*get \(.*article='apple'\)"
    show("py-bt --limit 3", innermost, AT_GET, r"handle \(")
    show("py-locals", r"^article = 'apple'$", r"^self = <.*Prices.* at remote 0x")


def live():
    pid, core = os.environ["SHOP_PID"], os.environ["SHOP_CORE"]
    run("attach " + pid)
    table()
    stack()
    show("py-list", r"^ *>\d+ +" + AT_GET)
    say("Any Python frame can be selected; names and paths are looked up in it.")
    show("py-up", r"^#1 Frame .* in .*handle \(")
    show("py-locals", r"^order = \{'id': \d+, 'customer': '\w+'", r"^total = 0$")
    show("py-print order['articles']['pear']", r"^local .* = [012]$")
    show("py-print self.prices.by_article", r"^local .* = \{'apple': 3, 'pear': 4, 'crème': 2\.5\}$")
    say("And who has the lock? The refresher, which waits for another service.")
    select("price-refresher")
    show("py-bt --limit 1", r"^#0 Frame .* in .*refresh \(", r"self\.upstream\.recv\(4096\)")
    say("A core of it, for later.")
    text = run("generate-core-file " + core)
    gdb.write("(gdb) generate-core-file\n\n")
    if not os.path.exists(core):
        failures.append("generate-core-file: %s" % text)
    run("detach")


def postmortem():
    table()
    stack()


try:
    live() if "SHOP_PID" in os.environ else postmortem()
except (gdb.error, RuntimeError) as e:
    failures.append(str(e))
for failure in failures:
    gdb.write("demo: FAILED: %s\n" % failure)
gdb.execute("set confirm off")
gdb.execute("quit %d" % bool(failures))
