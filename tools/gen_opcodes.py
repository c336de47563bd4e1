#!/usr/bin/env python3
"""Ask interpreters what their instructions do to the value stack, and write that down for the library.

Each interpreter tells its opcodes, inline caches, jumps and, since 3.4, `dis.stack_effect`. What that does not
tell stands below: 2.7 has no stack_effect; before 3.8 it knows no difference between going on and jumping; of the
`try`/`finally` of 3.8 and older it tells the largest effect and not the real one. Output:
rust-core/layout/tables/opcodes.tsv, one row for each opcode of each minor version:

    version, opcode, name
    base    the instruction that a specialised or instrumented one stands for; then nothing else stands in the row
    caches  code units after it that are data
    next    effect on the depth of the stack where control goes on to the next instruction, `-` where it never does
    jump    effect where it jumps, `-` where it never does
    target  how the argument means a place: `+` and `-` from the next instruction, `@` from the start, with the bytes
            of one step
    role    what it calls (`Role` of layout/opcodes.rs), `-` for nothing
    callee  for calls: slots from the top of the stack down to what is called, that one counted
    block   what it does with the blocks of 3.8 and older (`Block` of layout/opcodes.rs)

Effects are sums of a constant and multiples of: `n`, the argument; `lo` and `hi`, its lowest byte and the rest; `b0` to
`b3`, its lowest bits. Each is checked against stack_effect for many arguments before it is written.

Which interpreters: those that tools/setup.sh found (.cache/interpreters.json), the first of each minor version.

    tools/gen_opcodes.py [PYTHON...]            write the table
    tools/gen_opcodes.py --check [PYTHON...]    fail if the committed table differs
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "rust-core/layout/tables/opcodes.tsv"
MINORS = [(2, 7), *((3, minor) for minor in range(6, 16))]
COLUMNS = ("version", "opcode", "name", "base", "caches", "next", "jump", "target", "role", "callee", "block")
SAMPLES = [*range(66), 127, 128, 255, 256, 257, 511, 512, 1000, 4099, 65535]

# Runs in the interpreter that is asked.
PROBE = """
import dis, json, opcode, sys
known = getattr(dis, "_all_opmap", dis.opmap)
caches = getattr(opcode, "_inline_cache_entries", {})
if isinstance(caches, list):
    caches = dict((opcode.opname[code], count) for code, count in enumerate(caches))
with_argument = getattr(dis, "hasarg", None)
effects = {}
for name, code in dis.opmap.items():
    if code > 255 or not hasattr(dis, "stack_effect"):
        continue
    takes = code in with_argument if with_argument is not None else code >= dis.HAVE_ARGUMENT
    ways = [{}]
    if sys.version_info >= (3, 8):
        ways = [{"jump": False}, {"jump": True}]
    for argument in SAMPLES if takes else [None]:
        try:
            effect = [dis.stack_effect(code, argument, **way) for way in ways]
        except ValueError:
            continue
        effects.setdefault(name, []).append([argument or 0, effect[0], effect[-1]])
json.dump({
    "minor": list(sys.version_info[:2]),
    "plain": dict((name, code) for name, code in dis.opmap.items() if code < 256),
    "all": dict((name, code) for name, code in known.items() if code < 256),
    "base": getattr(dis, "deoptmap", {}),
    "caches": caches,
    "relative": list(dis.hasjrel),
    "absolute": list(dis.hasjabs),
    "effects": effects,
}, sys.stdout)
"""

# Their meaning is not in the bytes of the code, or they are no instructions: the depth behind them is unknown.
UNKNOWN = {"CACHE", "RESERVED", "STOP_CODE", "ENTER_EXECUTOR", "INSTRUMENTED_LINE", "INSTRUMENTED_INSTRUCTION"}
# Control does not go on to the next instruction.
ENDS = {
    "RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "INTERPRETER_EXIT", "BREAK_LOOP", "CONTINUE_LOOP",
    "JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT",
}
# Arguments that a compiler makes, where the formula for others is another one.
ARGUMENTS = {"BUILD_SLICE": (2, 3), "FORMAT_VALUE": range(16), "MAKE_FUNCTION": range(16)}


def effects_2_7():
    """2.7 has no stack_effect: what Python/ceval.c pushes and pops, {name: formula}."""
    effects = dict.fromkeys(("NOP", "ROT_TWO", "ROT_THREE", "ROT_FOUR", "UNARY_POSITIVE", "UNARY_NEGATIVE", "UNARY_NOT",
                             "UNARY_CONVERT", "UNARY_INVERT", "GET_ITER", "PRINT_NEWLINE", "YIELD_VALUE", "POP_BLOCK",
                             "DELETE_NAME", "DELETE_GLOBAL", "DELETE_FAST", "LOAD_ATTR", "SLICE+0", "RETURN_VALUE",
                             "RAISE_VARARGS", "EXTENDED_ARG", "JUMP_FORWARD", "JUMP_ABSOLUTE", "BREAK_LOOP",
                             "CONTINUE_LOOP", "SETUP_LOOP", "SETUP_EXCEPT", "SETUP_FINALLY"), "0")
    for operator in ("POWER", "MULTIPLY", "DIVIDE", "MODULO", "ADD", "SUBTRACT", "FLOOR_DIVIDE", "TRUE_DIVIDE",
                     "LSHIFT", "RSHIFT", "AND", "XOR", "OR"):
        effects["BINARY_" + operator] = effects["INPLACE_" + operator] = "-1"
    effects.update(dict.fromkeys(("DUP_TOP", "LOAD_LOCALS", "LOAD_CONST", "LOAD_NAME", "LOAD_GLOBAL", "LOAD_FAST",
                                  "LOAD_CLOSURE", "LOAD_DEREF", "IMPORT_FROM", "FOR_ITER", "SETUP_WITH"), "1"))
    effects.update(dict.fromkeys(("POP_TOP", "BINARY_SUBSCR", "SLICE+1", "SLICE+2", "DELETE_SLICE+0", "PRINT_EXPR",
                                  "PRINT_ITEM", "PRINT_NEWLINE_TO", "STORE_NAME", "STORE_GLOBAL", "STORE_FAST",
                                  "STORE_DEREF", "DELETE_ATTR", "IMPORT_NAME", "IMPORT_STAR", "COMPARE_OP",
                                  "LIST_APPEND", "SET_ADD", "JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP",
                                  "POP_JUMP_IF_FALSE", "POP_JUMP_IF_TRUE", "END_FINALLY", "WITH_CLEANUP"), "-1"))
    effects.update(dict.fromkeys(("SLICE+3", "STORE_SLICE+0", "DELETE_SLICE+1", "DELETE_SLICE+2", "STORE_MAP",
                                  "DELETE_SUBSCR", "STORE_ATTR", "PRINT_ITEM_TO", "BUILD_CLASS", "MAP_ADD"), "-2"))
    effects.update(dict.fromkeys(("STORE_SLICE+1", "STORE_SLICE+2", "DELETE_SLICE+3", "STORE_SUBSCR", "EXEC_STMT"),
                                 "-3"))
    effects.update(dict.fromkeys(("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET", "BUILD_SLICE"), "1 -1*n"))
    effects.update({
        "STORE_SLICE+3": "-4", "DUP_TOPX": "0 +1*n", "UNPACK_SEQUENCE": "-1 +1*n", "BUILD_MAP": "1",
        "MAKE_FUNCTION": "0 -1*n", "MAKE_CLOSURE": "-1 -1*n",
        "CALL_FUNCTION": "0 -1*lo -2*hi", "CALL_FUNCTION_VAR": "-1 -1*lo -2*hi", "CALL_FUNCTION_KW": "-1 -1*lo -2*hi",
        "CALL_FUNCTION_VAR_KW": "-2 -1*lo -2*hi",
    })
    return effects


def overrides(minor):
    """{name: (next, jump)} where stack_effect does not tell, or tells the largest effect only. None: as it tells."""
    if minor == (2, 7):
        return {"FOR_ITER": (None, "-1"), "JUMP_IF_FALSE_OR_POP": (None, "0"), "JUMP_IF_TRUE_OR_POP": (None, "0"),
                "SETUP_EXCEPT": (None, "3"), "SETUP_FINALLY": (None, "3"), "SETUP_WITH": (None, "3")}
    if minor <= (3, 7):
        return {
            "FOR_ITER": ("1", "-1"), "JUMP_IF_FALSE_OR_POP": ("-1", "0"), "JUMP_IF_TRUE_OR_POP": ("-1", "0"),
            # An exception pushes six: the one handled so far, and itself.
            "SETUP_LOOP": ("0", "0"), "SETUP_EXCEPT": ("0", "6"), "SETUP_FINALLY": ("0", "6"),
            # The manager's place takes its __exit__, below the block.
            "SETUP_WITH": ("1", "6"), "SETUP_ASYNC_WITH": ("0", "5"),
            "POP_EXCEPT": ("-3", None), "WITH_CLEANUP_START": ("1", None), "WITH_CLEANUP_FINISH": ("-2", None),
            "END_FINALLY": ("-1", None), "NOP": ("0", "0"), "EXTENDED_ARG": ("0", "0"),
        }
    if minor == (3, 8):
        # The effects for a block that was not entered by an exception; stack/depth.rs knows the others.
        return {"BEGIN_FINALLY": ("1", None), "END_FINALLY": ("-1", None), "POP_FINALLY": ("-1", None),
                "WITH_CLEANUP_START": ("1", None), "WITH_CLEANUP_FINISH": ("-2", None)}
    if minor == (3, 10):
        # The value that GEN_START drops is there as soon as the generator runs (bpo-42927): depths count from there.
        return {"GEN_START": ("0", None)}
    if minor == (3, 11):
        # stack_effect counts the arguments as gone after PRECALL; they stay where they are until CALL.
        return {"PRECALL": ("0", None), "CALL": ("-1 -1*n", None), "RETURN_GENERATOR": ("1", None)}
    if minor == (3, 12):
        return {"RETURN_GENERATOR": ("1", None)}  # what resumes the generator pushes a value
    return {}


def roles(minor):
    """{name: (role, callee)}."""
    if minor == (2, 7):
        named = "1 +1*lo +2*hi", "2 +1*lo +2*hi", "2 +1*lo +2*hi", "3 +1*lo +2*hi"
        return {"CALL_FUNCTION": ("call", named[0]), "CALL_FUNCTION_VAR": ("call_packed", named[1]),
                "CALL_FUNCTION_KW": ("call_packed", named[2]), "CALL_FUNCTION_VAR_KW": ("call_packed", named[3]),
                "SETUP_WITH": ("enter", "-"), "WITH_CLEANUP": ("exit", "-")}
    result = {"BEFORE_ASYNC_WITH": ("enter_async", "-"), "WITH_CLEANUP_START": ("exit", "-"),
              "WITH_EXCEPT_START": ("exit", "-")}
    if minor <= (3, 10):
        result.update({"CALL_FUNCTION": ("call", "1 +1*n"), "CALL_FUNCTION_KW": ("call", "2 +1*n"),
                       "CALL_FUNCTION_EX": ("call_packed", "2 +1*b0"), "CALL_METHOD": ("call_method", "2 +1*n"),
                       "SETUP_WITH": ("enter", "-")})
        return result
    result["BEFORE_WITH"] = ("enter", "-")
    if minor <= (3, 12):
        result.update({"PRECALL": ("call_method", "2 +1*n"), "CALL": ("call_method", "2 +1*n"),
                       "CALL_FUNCTION_EX": ("call_packed", "2 +1*b0")})
    else:
        packed = "3 +1*b0" if minor == (3, 13) else "4"  # gh-127733: the keywords are null where there are none
        result.update({"CALL": ("call_pair", "2 +1*n"), "CALL_KW": ("call_pair", "3 +1*n"),
                       "CALL_FUNCTION_EX": ("call_packed", packed)})
    return result


def blocks(minor):
    """{name: block}."""
    if minor >= (3, 9):  # bpo-33387: the bodies of `finally` are there twice
        return {}
    if minor == (3, 8):
        return {"SETUP_FINALLY": "handler", "SETUP_WITH": "handler", "SETUP_ASYNC_WITH": "handler",
                "BEGIN_FINALLY": "begin", "CALL_FINALLY": "call", "END_FINALLY": "end", "POP_FINALLY": "pop",
                "WITH_CLEANUP_START": "cleanup_start", "WITH_CLEANUP_FINISH": "cleanup_finish"}
    result = {"SETUP_EXCEPT": "handler", "SETUP_FINALLY": "finally", "SETUP_WITH": "finally",
              "SETUP_ASYNC_WITH": "finally", "END_FINALLY": "end", "RETURN_VALUE": "leave", "CONTINUE_LOOP": "leave",
              "BREAK_LOOP": "break"}
    if minor == (2, 7):
        result["WITH_CLEANUP"] = "cleanup"
    else:
        result.update({"WITH_CLEANUP_START": "cleanup_start", "WITH_CLEANUP_FINISH": "cleanup_finish"})
    return result


VARIABLES = {
    "n": lambda n: n, "lo": lambda n: n & 255, "hi": lambda n: n >> 8,
    "b0": lambda n: n & 1, "b1": lambda n: n >> 1 & 1, "b2": lambda n: n >> 2 & 1, "b3": lambda n: n >> 3 & 1,
}


def value(formula, argument):
    terms = formula.split()
    total = int(terms[0])
    for term in terms[1:]:
        coefficient, variable = term.split("*")
        total += int(coefficient) * VARIABLES[variable](argument)
    return total


def formula(points):
    """The sum that gives {argument: effect}; None if there is none."""
    if not points:
        return None
    first = min(points)
    for variables in ((), ("n",), ("b0",), ("b0", "b1", "b2", "b3"), ("lo", "hi")):
        # An argument with which one variable is 1 and the others are 0 gives that one's coefficient.
        at = {"n": 1, "lo": 1, "hi": 256, "b0": 1, "b1": 2, "b2": 4, "b3": 8}
        if first == 2 and variables == ("n",):
            slope = points[3] - points[2]
            text = f"{points[2] - 2 * slope} {slope:+d}*n"
        elif first != 0 or any(at[v] not in points for v in variables):
            if variables:
                continue
            text = str(points[first])
        else:
            slopes = [(points[at[v]] - points[0], v) for v in variables]
            text = " ".join([str(points[0])] + [f"{slope:+d}*{v}" for slope, v in slopes if slope])
        if all(value(text, argument) == effect for argument, effect in points.items()):
            return text
    return None


def rows(answer):
    minor = tuple(answer["minor"])
    version = "{}.{}".format(*minor)
    fixed, calls, block = overrides(minor), roles(minor), blocks(minor)
    by_hand = effects_2_7() if minor == (2, 7) else {}
    step = 2 if minor >= (3, 10) else 1
    for name, code in sorted(answer["all"].items(), key=lambda item: item[1]):
        base = answer["base"].get(name)
        if name.startswith("INSTRUMENTED_"):
            base = name[len("INSTRUMENTED_"):]
        if name in UNKNOWN:
            continue
        if base:
            if base not in answer["plain"]:
                raise SystemExit(f"{version}: {name} stands for {base}, which is no instruction")
            yield (version, code, name, base, *"-" * 7)
            continue
        if by_hand:
            following = jumping = by_hand[name]
        else:
            wanted = ARGUMENTS.get(name)
            points = [point for point in answer["effects"].get(name, ()) if wanted is None or point[0] in wanted]
            following = formula({argument: effect for argument, effect, _ in points})
            jumping = formula({argument: effect for argument, _, effect in points})
        following, jumping = (new or old for new, old in zip(fixed.get(name, (None, None)), (following, jumping),
                                                             strict=True))
        if following is None or jumping is None:
            raise SystemExit(f"{version}: no formula for the effect of {name}: {answer['effects'].get(name)}")
        target = "-"
        if code in answer["relative"]:
            target = ("-" if "BACKWARD" in name else "+") + str(step)
        elif code in answer["absolute"]:
            target = f"@{step}"
        # The first leaves blocks on its way, and enters each `finally` of them; the second's argument is for
        # sys.monitoring only (3.14, gh-125038).
        if target == "-" or name in ("CONTINUE_LOOP", "END_ASYNC_FOR"):
            jumping = target = "-"
        if name in ENDS:
            following = "-"
        role, callee = calls.get(name, ("-", "-"))
        if name == "EXTENDED_ARG":
            role = "extended"
        caches = answer["caches"].get(name, 0)
        yield version, code, name, "-", caches, following, jumping, target, role, callee, block.get(name, "-")


def ask(python, env=None):
    probe = PROBE.replace("SAMPLES", repr(SAMPLES))
    output = subprocess.run([python, "-c", probe], env={**os.environ, **(env or {})}, check=True, capture_output=True)
    return json.loads(output.stdout)


def found():
    """The answers of what tools/setup.sh found."""
    cache = pathlib.Path(os.environ.get("PYEXT_CACHE", ROOT / ".cache"))
    minors = {}
    for entry in json.loads((cache / "interpreters.json").read_text()):
        if entry["exe"]:
            minors.setdefault(entry["minor"], entry)
    return [ask(entry["exe"], entry["env"]) for entry in minors.values()]


def table(pythons):
    answers = {tuple(answer["minor"]): answer for answer in (map(ask, pythons) if pythons else found())}
    missing = [minor for minor in MINORS if minor not in answers]
    if missing:
        raise SystemExit("no interpreter of {}".format(", ".join("{}.{}".format(*minor) for minor in missing)))
    lines = ["\t".join(COLUMNS)]
    for minor in MINORS:
        lines += ["\t".join(map(str, row)) for row in rows(answers[minor])]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("python", nargs="*", help="one interpreter of each minor version")
    options = parser.parse_args()
    new = table(options.python)
    if options.check:
        if TABLE.read_text() != new:
            sys.exit(f"{TABLE} is not what the interpreters say")
        return
    TABLE.write_text(new)
    print(f"{TABLE}: {len(new.splitlines()) - 1} opcodes")


if __name__ == "__main__":
    main()
