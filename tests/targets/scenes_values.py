# -*- coding: utf-8 -*-
"""Scenes that are about the values of locals. Python 2.7 and 3.6 to 3.15."""

import collections
import functools
import re
import sys

try:
    import datetime
    import decimal
except ImportError:  # extension modules, which a static executable can not load
    datetime = decimal = None

NAN = float("nan")
INFINITY = float("inf")


def integers(park):
    none, yes, no = None, True, False
    zero, one, minus_one, small, minus_five, cached_last, first_uncached = 0, 1, -1, 42, -5, 256, 257
    digit, two_digits, three_digits = 2**30 - 1, 2**30, 2**60
    minus_digit, minus_two_digits = -(2**30), -(2**60) - 1
    half_digit_15, machine_max, machine_over, machine_min = 2**15, 2**63 - 1, 2**63, -(2**63)
    unsigned_over, ten_to_40, minus_ten_to_40 = 2**64, 10**40, -(10**40)
    huge, huge_odd, minus_huge = 1 << 31000, (1 << 31000) + 12345, -(1 << 31000)
    long_zero, long_one = 2**70 - 2**70, 2**70 - 2**70 + 1
    floats(park, none, yes, no)
    return (
        zero, one, minus_one, small, minus_five, cached_last, first_uncached, digit, two_digits, three_digits,
        minus_digit, minus_two_digits, half_digit_15, machine_max, machine_over, machine_min, unsigned_over,
        ten_to_40, minus_ten_to_40, huge, huge_odd, minus_huge, long_zero, long_one,
    )


def floats(park, first=1.5, *rest):
    zero, minus_zero, one, tenth, third = 0.0, -0.0, 1.0, 0.1, 1 / 3.0
    nan, infinity, minus_infinity = NAN, INFINITY, -INFINITY
    large, small, denormal, largest = 1e300, -1e-300, 5e-324, sys.float_info.max
    before_exponent, exponent, sixteen_digits = 123456789012345.0, 1e16, 9007199254740993.0
    ten_to_22, ten_to_23, small_fixed, small_exponent = 1e22, 1e23, 0.0001, 0.00001
    imaginary, complex_both, complex_minus_zero = 1j, complex(1.5, -2), complex(-0.0, -0.0)
    complex_nan, complex_infinity = complex(NAN, 1), complex(1, -INFINITY)
    strings(park)
    return (
        zero, minus_zero, one, tenth, third, nan, infinity, minus_infinity, large, small, denormal, largest,
        before_exponent, exponent, sixteen_digits, ten_to_22, ten_to_23, small_fixed, small_exponent, imaginary,
        complex_both, complex_minus_zero, complex_nan, complex_infinity,
    )


def strings(park):
    empty, plain, single, double, both = "", "plain", "it's", 'say "x"', "it's \"x\""
    backslash, controls = "a\\b", "tab\t newline\n return\r zero\0 bell\a escape\x1b[31m delete\x7f"
    latin, latin_controls = u"h\xe9llo \xff", u"\x80\x9f\xa0\xad"
    two_bytes, mixed_quotes = u"\u20ac \u0436 \u4e2d", u"\u20ac ' \""
    four_bytes, four_bytes_mixed = u"\U0001f600", u"a\xe9\u20ac\U0001f600\U0010ffff"
    surrogate, reversed_surrogates = u"\ud800", u"a\udfff\ud800z"
    overrides, private, unassigned = u"\u200b\u202e\u2028\ufeff", u"\ue000", u"\U0003ffff"
    kilo, kilo_and_one, five_thousand, wide_thousand = "k" * 1000, "k" * 1001, "x" * 5000, u"\u20ac" * 1001
    all_bytes = bytes(bytearray(range(256)))
    few_bytes, quoted_bytes, many_bytes = b"ab\0\xff", b"it's", b"y" * 2000
    array, empty_array, quoted_array = bytearray(b"array\0\xff"), bytearray(), bytearray(b"it's \"")
    containers(park)
    return (
        empty, plain, single, double, both, backslash, controls, latin, latin_controls, two_bytes, mixed_quotes,
        four_bytes, four_bytes_mixed, surrogate, reversed_surrogates, overrides, private, unassigned, kilo,
        kilo_and_one, five_thousand, wide_thousand, all_bytes, few_bytes, quoted_bytes, many_bytes, array, empty_array,
        quoted_array,
    )


class Plain(object):
    def __init__(self):
        self.first = 1
        self.second = "two"


def sparse(size, keep):
    table = dict((number, str(number)) for number in range(size))
    for number in range(size):
        if number % (size // keep):
            del table[number]
    return table


def containers(park):
    empty_list, empty_tuple, empty_dict, empty_set, empty_frozen = [], (), {}, set(), frozenset()
    one_list, one_tuple, one_dict, one_set, one_frozen = [1], ("one",), {"k": None}, {1}, frozenset(["f"])
    several_set, several_frozen = {1, 2, 3, 100}, frozenset(["a", "b", (1, 2)])
    nested = [1, (2, [3, {"four": (5, [6, {7: (8,)}])}]), {"nine": [10, {"eleven": set([12])}]}]
    numbers, long_tuple = list(range(300)), tuple(range(100, 200))
    sparse_dict, sparse_wide_dict = sparse(3000, 10), sparse(70000, 7)
    sparse_set = set(range(100000))
    sparse_set.difference_update(range(5, 100000))
    one_left_set = set("abcdefgh")
    one_left_set.difference_update("abcdefg")
    cleared_dict, emptied_dict = {1: 2, 3: 4}, {1: 2}
    cleared_dict.clear()
    del emptied_dict[1]
    general_keys = {"a": 1, 2: "b", (3, 4): None, None: 5, 6.5: u"\u20ac"}
    unicode_keys = {"a": 1}
    unicode_keys[u"\u20ac"] = 2
    reinserted = {"a": 1, "b": 2, "c": 3}
    del reinserted["a"]
    reinserted["a"] = 4
    from_keys = dict.fromkeys(["x", "y", "z"], 0)
    big_dict = dict((number, -number) for number in range(300))
    shared = ["shared"]
    sharing = [shared, shared, (shared, shared), {"again": shared}]
    several_none = [None, True, False, None, 0, 0.0, ""]
    deep = ["bottom"]
    for _ in range(50):
        deep = [deep]
    plain = Plain()
    split_dict = plain.__dict__
    other = Plain()
    del other.first
    split_less = other.__dict__
    extra = Plain()
    extra.third = [3]
    split_more = extra.__dict__
    others(park)
    return (
        empty_list, empty_tuple, empty_dict, empty_set, empty_frozen, one_list, one_tuple, one_dict, one_set,
        one_frozen, several_set, several_frozen, nested, numbers, long_tuple, sparse_dict, sparse_wide_dict, sparse_set,
        one_left_set, cleared_dict, emptied_dict, general_keys, unicode_keys, reinserted, from_keys, big_dict, sharing,
        several_none, deep, split_dict, split_less, split_more,
    )


class Number(int):
    pass


class Words(list):
    pass


class Table(dict):
    pass


class Text(str):
    pass


class Slotted(object):
    __slots__ = ("left", "right")

    def __init__(self):
        self.left = 1


class Problem(Exception):
    pass


Pair = collections.namedtuple("Pair", "left right")


def generate():
    yield 1


def others(park):
    """Values that the truth knows by type and address only: whatever is printed of them, these two have to be right."""
    self_list = [1]
    self_list.append(self_list)
    self_dict = {}
    self_dict["self"] = self_dict
    through_tuple = ([],)
    through_tuple[0].append(through_tuple)
    number, words, table, word = Number(7), Words([1, 2]), Table(a=1), Text("text")
    plain, slotted, pair, problem = Plain(), Slotted(), Pair(1, "two"), Problem("why", 3)
    default, ordered = collections.defaultdict(list, z=[1]), collections.OrderedDict([("a", 1), ("b", 2)])
    queue, counted = collections.deque([1, 2], 5), collections.Counter("aab")
    function, method, unbound, builtin, builtin_method = generate, plain.__init__, Plain.__init__, len, [].append
    kind, builtin_kind, meta, module = Plain, dict, type, sys
    generator, iterator, numbers, cut = generate(), iter([1, 2]), range(3, 30, 4), slice(1, None, 2)
    partial, pattern, match = functools.partial(int, base=2), re.compile("a+"), re.match("a+", "aab")
    if decimal is not None:
        day, moment = datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 30)
        price = decimal.Decimal("1.50")
    dots, never, view, code = Ellipsis, NotImplemented, memoryview(b"view"), generate.__code__
    holder = [plain, {"key": Plain}]
    anonymous = lambda x, y=2: x
    prop, static, made = property(generate), staticmethod(generate), object()
    park()
    return (
        number, words, table, word, slotted, pair, problem, default, ordered, queue, counted, function, method, unbound,
        builtin, builtin_method, kind, builtin_kind, meta, module, generator, iterator, numbers, cut, partial, pattern,
        match, day, moment, price, dots, never, view, code, holder, anonymous, prop, static, made,
    )


SCENES = [("values", integers)]
