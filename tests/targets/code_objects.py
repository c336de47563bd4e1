# -*- coding: utf-8 -*-
"""Writes the code objects of this interpreter's standard library, one a line: code_objects.py [FOLDER...].

A line is: co_stacksize, the instructions and the exception table in hexadecimal (`-` for none), where it is from.
Without arguments the modules of the library's own folder; else those below the folders, of the library, that are named.
"""

import binascii
import os
import sys
import types


def functions(code):
    todo = [code]
    while todo:
        code = todo.pop()
        yield code
        todo.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))


def sources(library, folders):
    if not folders:
        for name in sorted(os.listdir(library)):
            yield os.path.join(library, name)
    for folder in folders:
        for directory, _, names in sorted(os.walk(os.path.join(library, folder))):
            if "site-packages" in directory:
                continue
            for name in sorted(names):
                yield os.path.join(directory, name)


def hexadecimal(data):
    return binascii.hexlify(data).decode("ascii") or "-"


def main():
    for path in sources(os.path.dirname(os.__file__), sys.argv[1:]):
        if not path.endswith(".py") or not os.path.isfile(path):
            continue
        with open(path, "rb") as source:
            text = source.read()
        try:
            module = compile(text, path, "exec")
        except (SyntaxError, ValueError):  # some are there to be wrong
            continue
        for code in functions(module):
            exceptions = getattr(code, "co_exceptiontable", b"")
            name = "{}:{}:{}".format(path, code.co_firstlineno, code.co_name).replace(" ", "?")
            sys.stdout.write(" ".join((str(code.co_stacksize), hexadecimal(code.co_code), hexadecimal(exceptions),
                                       name.encode("ascii", "replace").decode("ascii"))) + "\n")


if __name__ == "__main__":
    main()
