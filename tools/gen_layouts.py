#!/usr/bin/env python3
"""Condense measured struct offsets into the table that the library carries.

Input: one or more tab-separated files (plain or .xz; tools/measured/ has those of the committed table) with the
columns `version struct field offset size bits type`, one row per field of one interpreter build, as DWARF of that
build, or its headers where the label ends in [hdr], gave them. Output: rust-core/layout/tables/offsets.tsv, one row
per field that rust-core/layout/fields.rs names, one column per build; a cell is `offset:width[:firstbit:bits]`, `-`
where the build has no such field.

    tools/gen_layouts.py [MEASURED.tsv...]           write the table
    tools/gen_layouts.py --check [MEASURED.tsv...]   fail if the committed table differs
"""

import argparse
import collections
import lzma
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIELDS = ROOT / "rust-core/layout/fields.rs"
TABLE = ROOT / "rust-core/layout/tables/offsets.tsv"


def wanted():
    """The (struct names, member paths) that fields.rs asks for, in its order."""
    text = FIELDS.read_text()
    text = text[text.index("\nfields! {") :]
    result = []
    for struct in re.finditer(r"\w+: \w+ = ((?:\"[^\"]+\"\s*\|?\s*)+)\{(.*?)\n    \}", text, re.S):
        names = re.findall(r'"([^"]+)"', struct[1])
        result.append((names, ["<sizeof>"]))
        for member in re.finditer(r"\w+ = ((?:\"[^\"]+\"\s*\|?\s*)+)", struct[2]):
            result.append((names, re.findall(r'"([^"]+)"', member[1])))
    return result


def measured(paths):
    """{build: {(struct, field): cell}} in order of appearance."""
    builds = collections.OrderedDict()
    for path in paths:
        text = lzma.open(path, "rt").read() if path.suffix == ".xz" else path.read_text()
        for line in text.splitlines()[1:]:
            version, struct, field, offset, size, bits, _type = (line.split("\t") + [""] * 7)[:7]
            cell = f"{size}:{size}" if field == "<sizeof>" else f"{offset}:{size or 0}"
            if bits:
                cell += ":" + bits
            builds.setdefault(version, {})[struct, field] = cell
    return builds


def find(fields, structs, paths):
    """The cell of the first name that this build has."""
    for struct in structs:
        for path in paths:
            for prefix in ("", "ob_base.", "ob_base.ob_base.", "_base._base.", "_base."):
                cell = fields.get((struct, prefix + path))
                if cell:
                    return cell
    return "-"


def table(paths):
    builds = measured(paths)
    labels = [b for b in builds if "aarch64" not in b]
    lines = ["field\t" + "\t".join(labels)]
    for structs, members in wanted():
        cells = [find(builds[b], structs, members) for b in labels]
        lines.append(f"{structs[0]}.{members[0]}\t" + "\t".join(cells))
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("measured", nargs="*", type=pathlib.Path, help="default: all of tools/measured/")
    options = parser.parse_args()
    new = table(options.measured or sorted((ROOT / "tools/measured").glob("*.tsv*")))
    if options.check:
        if TABLE.read_text() != new:
            sys.exit(f"{TABLE} is not what the measurements give")
        return
    TABLE.write_text(new)
    print(f"{TABLE}: {len(new.splitlines()) - 1} fields")


if __name__ == "__main__":
    main()
