"""Seeded damage to a core: what bit flips, lost pages and wild writes leave behind.

A seed gives the same damage each time. Half of it hits pages that lead to Python stacks, since a random page of a heap
is one that no command reads.
"""

import os
import random
import shutil
import struct

from . import cores

MASK = (1 << 64) - 1
WILD = (0, 1, 7, 0x10, 0xDEAD0000, 1 << 31, 1 << 47, 1 << 60, (1 << 63) - 1, 1 << 63, MASK, MASK - 7)
WORDS = cores.PAGE // 8


class Damage:
    """Damages one core at a time. `hot`: addresses whose pages matter; `pages`: pages of objects."""

    def __init__(self, core, hot, pages):
        self.core = core
        self.hot = sorted({address & ~(cores.PAGE - 1) for address in hot if core.has(address)})
        self.objects = sorted(address for address in hot if core.has(address))
        self.pages = pages
        assert self.hot and self.pages

    def __call__(self, seed, copy):
        """Damage the core, or its copy at `copy` where a copy is needed. The path to look at, and what was done."""
        rng = random.Random(seed)
        kind = rng.choice((self.flips, self.flips, self.wild, self.wild, self.zero_page, self.junk_page, self.swap,
                           self.swap, self.loop, self.loop, self.truncate, self.shift))
        return kind(rng, copy), kind.__name__

    def _page(self, rng):
        return rng.choice(self.hot if rng.random() < 0.7 else self.pages)

    def _word(self, rng):
        if rng.random() < 0.5:
            return rng.choice(self.objects) + 8 * rng.randrange(16)
        return self._page(rng) + 8 * rng.randrange(WORDS)

    def _poke(self, address, value):
        if self.core.has(address) and self.core.has(address + 7):
            self.core.poke(address, value)

    def flips(self, rng, _copy):
        """Single bits."""
        for _ in range(rng.choice((1, 8, 64))):
            address = self._word(rng)
            if self.core.has(address + 7):
                self._poke(address, self.core.word(address) ^ 1 << rng.randrange(64))
        return self.core.path

    def wild(self, rng, _copy):
        """Words that are no pointer, no size and no flag."""
        for _ in range(rng.choice((1, 4, 16))):
            self._poke(self._word(rng), rng.choice(WILD))
        return self.core.path

    def zero_page(self, rng, _copy):
        for _ in range(rng.choice((1, 3))):
            self.core.write(self._page(rng), bytes(cores.PAGE))
        return self.core.path

    def junk_page(self, rng, _copy):
        self.core.write(self._page(rng), bytes(rng.getrandbits(8) for _ in range(cores.PAGE)))
        return self.core.path

    def swap(self, rng, _copy):
        """Two words change places: each is a valid pointer or size, in the wrong place."""
        for _ in range(rng.choice((1, 8))):
            one, other = self._word(rng), self._word(rng)
            if self.core.has(one + 7) and self.core.has(other + 7):
                held = self.core.word(one)
                self._poke(one, self.core.word(other))
                self._poke(other, held)
        return self.core.path

    def loop(self, rng, _copy):
        """An object points at itself or at another one where its own fields are."""
        for _ in range(rng.choice((1, 4))):
            place = rng.choice(self.objects)
            self._poke(place + 8 * rng.randrange(1, 12), rng.choice((place, rng.choice(self.objects))))
        return self.core.path

    def shift(self, rng, _copy):
        """Part of a page is one word too far: a lost write in the middle of a structure."""
        page = self._page(rng)
        start = 8 * rng.randrange(WORDS // 2)
        held = self.core.read(page, cores.PAGE)
        self.core.write(page, held[:start] + struct.pack("<Q", rng.getrandbits(64)) + held[start:-8])
        return self.core.path

    def truncate(self, rng, copy):
        shutil.copy(self.core.path, copy)
        os.truncate(copy, int(self.core.size() * rng.uniform(0.05, 0.999)))
        return copy
