"""The registry of commands: one declaration gives the parser, the help and the completion."""

import argparse
import collections
import locale
import os
import shlex

import gdb

from . import native, styles
from .words import first

_commands = []

Option = collections.namedtuple("Option", "flags keywords")


def option(*flags, **keywords):
    """An option of a command, in the words of argparse."""
    return Option(flags, keywords)


JSON = option("--json", action="store_true", help="answer in JSON (docs/json-schema.md)")


def positive(text):
    """A number from 1 on, for argparse."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return min(value, 1 << 62)


def characters(text):
    """A number of characters, for argparse; 0 is as many as there are, up to the library's own cap."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return min(value, 1 << 30) or 1 << 30


def path(text):
    """A file's name, for argparse, as it is for GDB: `~` is the home directory, and names are relative to `pwd`."""
    if not text:
        raise ValueError(text)
    return os.path.abspath(os.path.expanduser(text))


def files(text):
    """The files and directories that begin with `text`. GDB's own completer would serve the whole command only."""
    directory, name = os.path.split(text)
    try:
        with os.scandir(os.path.expanduser(directory) or ".") as found:
            names = [one.name + "/" * one.is_dir() for one in found if one.name.startswith(name)]
    except OSError:
        return []
    hidden = name.startswith(".")
    return [os.path.join(directory, one) for one in sorted(names) if hidden or not one.startswith(".")]


CHARS = option(
    "--chars", type=characters, metavar="N", help="at most N characters of each value; 0: all, up to 4 million"
)
LIMIT = option("--limit", type=positive, metavar="N", help="at most N frames of each thread")


class _Parser(argparse.ArgumentParser):
    """argparse that neither prints nor exits."""

    def error(self, message):
        raise gdb.GdbError("%s: %s. Type: help %s" % (self.prog, message, self.prog))


class _Command(gdb.Command):
    def __init__(self, name, function, options, rest, complete_rest, words):
        self.name, self.function, self.options, self.rest = name, function, options, rest
        self.complete_rest = complete_rest
        self.words = words
        self.parser = _Parser(prog=name, add_help=False, allow_abbrev=False)
        for one in options:
            self.parser.add_argument(*one.flags, **one.keywords)
        self.__doc__ = self._help()
        # Naming a completer, even COMPLETE_NONE, would turn complete() off.
        super().__init__(name, gdb.COMMAND_STACK)

    def _help(self):
        doc = "\n".join(line.strip() for line in self.function.__doc__.strip().splitlines())
        usage = self.name + "".join(" [%s]" % self._synopsis(o) for o in self.options)
        lines = [doc, "", "Usage: %s%s" % (usage, " " + self.rest if self.rest else "")]
        for one in self.options:
            lines.append("  %-14s %s" % (self._synopsis(one), one.keywords["help"]))
        return "\n".join(lines)

    @staticmethod
    def _synopsis(one):
        metavar = one.keywords.get("metavar")
        if not one.flags[-1].startswith("-"):
            return metavar
        return one.flags[-1] + (" " + metavar if metavar else "")

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        words, rest = self._split(argument)
        options = vars(self.parser.parse_args(words))
        try:
            with styles.typed(from_tty):
                self.function(rest, **options)
        except gdb.GdbError:
            raise
        except native.Bug as e:
            raise gdb.GdbError("%s: %s\nThis is a bug of pyext; GDB and the process are not affected." % (self.name, e))
        except RuntimeError as e:
            # A lost connection (gdb.error), a thread that has just ended: GDB's own words, without a traceback.
            raise gdb.GdbError("%s: %s" % (self.name, e))

    def _split(self, argument):
        """Options come first; what follows stays as it was typed: a path may have quotes and blanks."""
        if not self.rest:
            return self.words(argument), ""
        words, rest = [], argument.strip()
        valued = {flag for o in self.options if "metavar" in o.keywords for flag in o.flags}
        while rest.startswith("-") and not rest.lstrip("-")[:1].isdigit():
            word, _, rest = rest.partition(" ")
            words.append(word)
            rest = rest.lstrip()
            if word in valued:
                word, rest = first(rest)
                words.append(word)
        return words, rest

    def complete(self, text, word):
        """GDB breaks words at `-` and more: candidates are given less what it already has."""
        last = text.split(" ")[-1]
        candidates = [flag for o in self.options for flag in o.flags if flag.startswith("--")]
        before = text.split(" ")[-2:-1]
        if any(one.keywords.get("type") is path and before[0] in one.flags for one in self.options if before):
            candidates = files(last)
        elif self.complete_rest and not last.startswith("-"):
            try:
                candidates = self.complete_rest(last)
            except (gdb.error, gdb.GdbError, RuntimeError, native.Bug):
                candidates = []
        # GDB asks first, without a word, where words break.
        head = len(last) - len(word or "")
        return [c[head:] for c in candidates if c.startswith(last)]


def quoted_words(argument):
    """Words with quotes around them or not, for regular expressions: GDB's own splitting eats backslashes."""
    words = shlex.shlex(argument, posix=True)
    words.whitespace_split, words.escape, words.commenters = True, "", ""
    try:
        return list(words)
    except ValueError:
        raise gdb.GdbError("A quotation has no end: %s" % argument)


def command(name, options=(), rest=None, complete=None, words=gdb.string_to_argv):
    """Declare a command. `rest` names what follows the options; `complete(text)` gives candidates for it. Of a command
    without it, `words` splits what was typed.

    The function is called with that text and one keyword per option; its docstring is the help.
    """

    def declare(function):
        _commands.append((name, function, tuple(options), rest, complete, words))
        return function

    return declare


def register_all():
    """Make the declared commands GDB's. Done again when another script has taken their names."""
    for declaration in _commands:
        _Command(*declaration)


def for_gdb(text):
    """A text that GDB can print in its host charset: what that lacks is escaped. GDB raises otherwise."""
    try:
        charset = gdb.host_charset() if hasattr(gdb, "host_charset") else gdb.parameter("host-charset")
        if charset == "auto":
            charset = locale.getpreferredencoding(False)
        return text.encode(charset, "backslashreplace").decode(charset)
    except (LookupError, gdb.error, RuntimeError):
        return text.encode("ascii", "backslashreplace").decode("ascii")


def number(name, text, default):
    """A whole number that the user typed; one beyond every index counts as the largest."""
    try:
        value = int(text, 0) if text else default
    except ValueError:
        raise gdb.GdbError("%s: '%s' is no number. Type: help %s" % (name, text, name))
    return value if value is None else max(-(1 << 62), min(1 << 62, value))


def write(text):
    """Print to GDB's own output, which pages and redirects."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    # At each escape sequence GDB looks through all the rest of what one call writes: 16 MB would take hours.
    for part in text.splitlines(True) if "\x1b" in text else [text]:
        gdb.write(part)
