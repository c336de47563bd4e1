"""Bytes of a core at addresses of the process, to be read and overwritten; written from the ELF format alone."""

import array
import os
import struct

PAGE = 4096


class Core:
    """A core file. What was overwritten comes back with `restore`."""

    def __init__(self, path):
        self.path = path
        #: (address, bytes in the file, place in the file, writable) of each PT_LOAD.
        self.loads = []
        self._old = []
        with open(path, "rb") as core:
            header = core.read(64)
            assert header[:5] == b"\x7fELF\x02"
            offset, = struct.unpack_from("<Q", header, 32)
            size, count = struct.unpack_from("<HH", header, 54)
            for number in range(count):
                core.seek(offset + number * size)
                kind, flags, place, address, _, length, _, _ = struct.unpack("<IIQQQQQQ", core.read(56))
                if kind == 1:
                    self.loads.append((address, length, place, bool(flags & 2)))

    def offset(self, address):
        for start, length, place, _ in self.loads:
            if start <= address < start + length:
                return place + address - start
        raise AssertionError(f"{address:#x} is not in the core")

    def has(self, address):
        return any(start <= address < start + length for start, length, _, _ in self.loads)

    def read(self, address, length):
        with open(self.path, "rb") as core:
            core.seek(self.offset(address))
            return core.read(length)

    def word(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]

    def write(self, address, data):
        self._old.append((address, self.read(address, len(data))))
        self._put(address, data)

    def poke(self, address, value):
        """The word that was there."""
        old = self.word(address)
        self.write(address, struct.pack("<Q", value & (1 << 64) - 1))
        return old

    def restore(self):
        for address, data in reversed(self._old):
            self._put(address, data)
        self._old.clear()

    def _put(self, address, data):
        with open(self.path, "r+b") as core:
            core.seek(self.offset(address))
            core.write(data)

    def pages_with(self, words):
        """Writable pages that hold one of these words: those of the objects whose types they are."""
        words, found = set(words), []
        with open(self.path, "rb") as core:
            for start, length, place, writable in self.loads:
                if not writable:
                    continue
                core.seek(place)
                held = array.array("Q")
                held.frombytes(core.read(length // 8 * 8))
                step = PAGE // 8
                for first in range(0, len(held), step):
                    if not words.isdisjoint(held[first:first + step]):
                        found.append(start + first * 8)
        return found

    def size(self):
        return os.path.getsize(self.path)
