"""The interpreters that tools/setup.sh found or made (CACHE/interpreters.json)."""

import json
import os

from . import paths


class Interpreter:
    def __init__(self, entry):
        self.id = entry["id"]
        self.version = entry["version"]
        self.minor = tuple(int(number) for number in entry["minor"].split("."))
        self.exe = entry["exe"]
        self.env = entry["env"]
        self.debug_info = entry["debug_info"]
        self.link = entry["link"]
        self.required = entry["required"]
        self.debug_dirs = entry["debug_dirs"]
        self.reason = entry.get("reason")

    def __repr__(self):
        return self.id

    @property
    def free_threaded(self):
        return self.exe is not None and self.exe.endswith("t")

    @property
    def missing(self):
        return self.exe is None


def load():
    """Every entry, missing ones included: who skips one has to say so."""
    path = os.path.join(paths.cache(), "interpreters.json")
    if not os.path.exists(path):
        raise SystemExit(f"no {path}: run tools/setup.sh")
    with open(path) as source:
        return [Interpreter(entry) for entry in json.load(source)]


def named(name):
    for interpreter in load():
        if interpreter.id == name:
            return interpreter
    raise KeyError(name)
