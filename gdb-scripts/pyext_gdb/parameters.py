"""`set pyext ...` and `show pyext ...`."""

import gdb

_parameters = {}


class _Prefix(gdb.Command):
    """`show pyext` alone shows all settings; `set pyext` alone says what can be set."""

    def __init__(self, word, doc):
        self.__doc__ = doc
        self.word = word
        super().__init__(word + " pyext", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)

    def invoke(self, argument, from_tty):
        if argument:
            text = 'Undefined %s pyext command: "%s". Type: help %s pyext'
            raise gdb.GdbError(text % (self.word, argument, self.word))
        if self.word == "set":
            gdb.execute("help set pyext", from_tty)
        for name in _parameters if self.word == "show" else ():
            gdb.write("%s:  " % name)
            gdb.execute("show pyext " + name, from_tty)


class _Choice(gdb.Parameter):
    def __init__(self, name, set_doc, doc, choices, value):
        self.__doc__ = doc
        self.set_doc, self.show_doc = "Set " + set_doc, "Show " + set_doc
        super().__init__("pyext " + name, gdb.COMMAND_DATA, gdb.PARAM_ENUM, choices)
        self.value = value
        self.title = set_doc.rstrip(".")

    def get_set_string(self):
        return ""

    def get_show_string(self, value):
        return "The %s is %s." % (self.title, value)


def register():
    """Declare the parameters. Sourcing the script again keeps what the user has set."""
    values = {}
    for name, default in (("style", "pyext"), ("frame-filter", "on")):
        try:
            values[name] = gdb.parameter("pyext " + name) or default
        except (gdb.error, RuntimeError):
            values[name] = default
    _Prefix("set", "Set how pyext works.")
    _Prefix("show", "Show how pyext works.")
    _parameters["style"] = _Choice(
        "style",
        "style of the py-* commands.",
        "`pyext` (the default) shows every value that can be read, one Python frame at a time.\n"
        "`stock` gives the texts of CPython's own GDB script, word for word, for programs that read them.",
        ["pyext", "stock"],
        values["style"],
    )
    _parameters["frame-filter"] = _Choice(
        "frame-filter",
        "state of the frame filter that shows Python in `bt`.",
        "With `on` (the default), GDB's own backtrace names the Python function, file, line and arguments that an\n"
        "evaluation frame runs. `bt -no-filters` is without it for once.",
        ["on", "off"],
        values["frame-filter"],
    )


def stock():
    """Whether the words of CPython's own script are wanted."""
    return _parameters["style"].value == "stock"


def frame_filter():
    """Whether `bt` shows Python."""
    return _parameters["frame-filter"].value == "on"
