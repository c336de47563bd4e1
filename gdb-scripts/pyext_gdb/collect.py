"""Packs the files that a core needs on another machine."""

import os
import tarfile

import gdb

#: Directories that are links to others in most distributions: what GDB looks for goes through them.
LINKS = ("lib", "lib64", "lib32", "bin", "sbin")


def pack(files, path):
    """Write a tar archive with `files`, as the library lists them, in the folders that they have in the target.

    Unpacked into DIR, they are what `set sysroot DIR` needs. The number of files that were packed.
    """
    here = [one for one in files if one["file"]]
    if not here:
        raise gdb.GdbError("None of the target's files is here: nothing to pack. py-info lists them.")
    mode = "w:gz" if path.endswith((".gz", ".tgz")) else "w:xz" if path.endswith(".xz") else "w"
    try:
        with tarfile.open(path, mode) as archive:
            for one in here:
                # The file itself, where the name here is a link to it.
                archive.add(os.path.realpath(one["file"]), one["path"].lstrip("/"), recursive=False)
            for link in LINKS:
                if os.path.islink("/" + link):
                    archive.add("/" + link, link, recursive=False)
    except OSError as e:
        raise gdb.GdbError("%s cannot be written: %s" % (path, e))
    return len(here)
