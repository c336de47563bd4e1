# -*- coding: utf-8 -*-
"""Scenes that are about how a frame came to be called, and on which line it stands. Python 2.7 and 3.6 to 3.15."""

import functools
import operator
import re
import sys

try:
    import ctypes
except ImportError:  # a static executable has no ctypes
    ctypes = None


# ---- generators and comprehensions ------------------------------------------------------------------------------


def inner_generator(count, park):
    for number in range(count):
        if number == 2:
            park()
        yield number


def outer_generator(count, park):
    total = 0
    for number in inner_generator(count, park):
        total += number
        yield total


def generators(park):
    seen = []
    for total in outer_generator(5, park):
        seen.append(total)


def echo(park):
    received = []
    while True:
        received.append((yield len(received)))
        if len(received) == 3:
            park()


def sent(park):
    generator = echo(park)
    next(generator)
    for value in ("first", "second", "third"):
        generator.send(value)


def thrower(park):
    try:
        yield 1
    except ValueError as error:
        message = str(error)
        park()
        yield message


def thrown(park):
    generator = thrower(park)
    next(generator)
    generator.throw(ValueError("thrown in"))


def closing(park):
    try:
        yield 1
    finally:
        park()


def closed(park):
    generator = closing(park)
    next(generator)
    generator.close()


def at(place, value, park):
    if value == place:
        park()
    return value


def list_comprehension(park):
    place = 3
    return [at(place, value, park) for value in range(5) if value]


def dict_comprehension(park):
    place = 2
    return {key: at(place, value, park) for key, value in enumerate([1, 2, 3])}


def set_comprehension(park):
    place = "c"
    return {at(place, letter, park) for letter in "abcd"}


def generator_expression(park):
    place = 1
    return sum(at(place, value, park) for value in (0, 1, 2))


def nested_comprehension(park):
    rows = [[1, 2], [3, 4]]
    shadowed = "outer"
    result = [[at(3, shadowed, park) for shadowed in row] for row in rows]
    return result, shadowed


def closure_comprehension(park):
    place = 1
    found = [(lambda: at(place, value, park))() for value in (0, 1, 2)]
    return found


# ---- closures and class bodies ----------------------------------------------------------------------------------


def closures(park):
    cell_string, cell_number = "from the outer function", 17
    plain_local = [cell_number]

    def middle(argument, other=5):
        own_cell = argument * 2

        def innermost():
            used = (cell_string, argument, own_cell)
            park()
            return used

        return innermost() + (cell_number, other)

    return middle(21), plain_local


def unset_names(first, second, park):
    del first
    if second == "never":
        unbound = 1
    later = None
    del later

    def uses():
        return unbound, first_cell

    park()
    first_cell = 1
    return uses, first_cell


def unset(park):
    unset_names("first", "second", park)


def class_body(park):
    outside = "seen by the body"

    class Body(object):
        constant = 12
        words = ["in", "a", "class"]

        def method(self):
            return self.constant

        copy = outside
        park()

    return Body


def nested_class_body(park):
    class Outer(object):
        level = 1

        class Inner(object):
            level = 2
            park()

    return Outer


class Base(object):
    def __init__(self, size, park):
        self.size = size
        self.enter(park, extra="keyword")

    def enter(self, park, **options):
        raise NotImplementedError

    @classmethod
    def make(cls, park):
        return cls(3, park)

    @staticmethod
    def plain(park, value):
        doubled = value * 2
        park()
        return doubled


class Derived(Base):
    def enter(self, park, **options):
        double = self.size * 2
        super(Derived, self).__getattribute__("size")
        return self.attribute(park), double

    def attribute(self, park):
        return self.plain(park, 4)


def methods(park):
    return Derived.make(park)


# ---- arguments --------------------------------------------------------------------------------------------------


def takes_all(first, second=2, *others, **named):
    local = first
    named["park"]()
    return local, second, others, named


def arguments(park):
    values, options = (1, "two", 3.0, None), {"park": park, "key": "value"}
    return takes_all(*values, **options)


def few(first, second=(), *others, **named):
    park = named.pop("park")
    park()
    return first, second, others


def defaults(park):
    return few("only", park=park)


def argument_in_cell(first, second, *others, **named):
    third = second

    def inner():
        named["park"]()
        return first, others, third

    return inner()


def cells(park):
    return argument_in_cell("a", "b", "c", "d", park=park)


# ---- Python called by C -----------------------------------------------------------------------------------------


def sort_key(park):
    def key(word):
        if word == "second":
            park()
        return len(word)

    return sorted(["first", "second"], key=key)


def mapped(park):
    return list(map(lambda value: at(2, value, park), [1, 2]))


def reduced(park):
    def combine(left, right):
        if right == 4:
            park()
        return left + right

    return functools.reduce(combine, [1, 2, 3, 4])


def substituted(park):
    def replace(match):
        word = match.group(0)
        park()
        return word.upper()

    return re.sub("[a-z]+", replace, "some words")


class Hooks(object):
    """Every slot calls the next one from C."""

    def __init__(self, park):
        self.park = park

    def __getitem__(self, index):
        return self + index

    def __add__(self, other):
        return self.computed

    @property
    def computed(self):
        return self == 1

    def __eq__(self, other):
        return bool(len(self))

    __hash__ = None

    def __len__(self):
        return self(1, two=2)

    def __call__(self, *args, **named):
        return operator.contains(self, args)

    def __contains__(self, item):
        return self.missing_name

    def __getattr__(self, name):
        for value in self:
            return value

    def __iter__(self):
        return iter(self.values())

    def values(self):
        setattr(self, "late", 1)
        yield 1

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        if name == "late":
            with self:
                pass

    def __enter__(self):
        return str(self)

    def __exit__(self, *exception):
        return False

    def __str__(self):
        self.park()
        return "hooks"


def slots(park):
    hooks = Hooks(park)
    return hooks["index"]


class Dying(object):
    def __init__(self, park):
        self.park = park

    def __del__(self):
        last = "word"
        self.park()
        return last


def finaliser(park):
    holder = [Dying(park)]
    del holder[0]


def ctypes_callback(park):
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)

    def called(number):
        if number < 3:
            return callback(number + 1)
        park()
        return 0

    callback = prototype(called)
    return callback(1)


def decorate(label):
    def decorator(function):
        @functools.wraps(function)
        def wrapper(*args, **named):
            calls = label + function.__name__
            return function(*args, **named), calls

        return wrapper

    return decorator


@decorate("outer ")
@decorate("inner ")
def decorated(park, value=1):
    park()
    return value


def decorators(park):
    return decorated(park, value=2)


def evaluated(park):
    names = {"park": park, "letter": "x"}
    return eval("[letter for letter in 'ab' if park() or letter]", names)


# ---- statements and lines ---------------------------------------------------------------------------------------


def in_except(park):
    try:
        {}["no such key"]
    except KeyError as error:
        caught = error
        try:
            raise ValueError("second")
        except ValueError as other:
            park()
            return caught, other


def in_finally(park):
    steps = []
    try:
        try:
            steps.append("try")
            raise RuntimeError("in flight")
        finally:
            steps.append("finally")
            park()
    except RuntimeError:
        pass


class Manager(object):
    def __init__(self, park):
        self.park = park

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        name = kind.__name__
        self.park()
        return name == "KeyError"


def in_exit(park):
    with Manager(park) as manager:
        raise KeyError(manager)


def in_with(park):
    with Manager(None) as outer, Manager(None) as inner:
        names = (outer is inner,)
        park()
    return names


def deep_try(park):
    for attempt in range(2):
        try:
            try:
                try:
                    if attempt:
                        raise IndexError(attempt)
                finally:
                    level = "innermost"
            except IndexError:
                level = "caught"
                raise TypeError(level)
            else:
                level = "else"
        except TypeError:
            try:
                pass
            finally:
                while True:
                    park()


def combine(*values):
    return values


def spread_call(park):
    return combine(
        "first",
        combine(
            "second",
            park(
            ),
        ),
        "third",
    )


def spread_argument(park):
    return combine(
        1,
        2,
        at(
            3,
            3,
            park),
        4)


def spread_operators(park):
    return (
        "left"
        + at("x", "x", park)
        + "right"
    )


def one_line(park): value = 1; park(); return value


def loop_lines(park):
    for number in [
        1,
        2,
    ]:
        if number == 2:
            while number:
                park(); number -= 1
        else:
            continue


def lambdas(park):
    first = (
        lambda value:
        at(value, value, park)
    )
    return (lambda function: function(5))(first)


GENERATED = """
def far(park):
    before = 'before'
%(blank)s
    result = combine(
        before,
%(blank)s
        park(),
%(blank)s
        'after')
    return result
%(blank)s
def back(park):
    value = combine(
%(blank)s
        far)[0](
        park)
    return value
module_level = [1, 2, 3]
for item in module_level:
    if item == 2:
%(blank)s
        back(park)
"""


def generated(park):
    """Steps of lines that do not fit into one byte of a line table, forwards and backwards."""
    for blank in ("\n" * 300, ):
        source = GENERATED % {"blank": blank}
        names = {"combine": combine, "park": park, "__name__": "generated"}
        exec(compile(source, "<generated>", "exec"), names)


def executed(park):
    source = "one = 1\ntext = 'no file'\ndef function(value):\n    park()\n    return value\nfunction(one)\n"
    names = {"park": park}
    exec(compile(source, "<string>", "exec"), names)


def executed_locals(park):
    names = {"park": park}
    here = {"mine": (1, 2)}
    exec(compile("own = 'separate'\npark()\n", "", "exec"), names, here)


def odd_file_names(park):
    names = {"park": park}
    inner = compile("park()", "/no such directory/line\nbreak\ttab.py", "exec")
    names["inner"] = inner
    exec(compile("exec(inner)" if sys.version_info[0] > 2 else "exec inner", "quote\"s.py", "exec"), names)


SCENES = [
    (function.__name__, function)
    for function in (
        generators, sent, thrown, closed, list_comprehension, dict_comprehension, set_comprehension,
        generator_expression, nested_comprehension, closure_comprehension, closures, unset, class_body,
        nested_class_body, methods, arguments, defaults, cells, sort_key, mapped, reduced, substituted, slots,
        finaliser, decorators, evaluated, in_except, in_finally, in_exit, in_with, deep_try, spread_call,
        spread_argument, spread_operators, one_line, loop_lines, lambdas, generated, executed, executed_locals,
        odd_file_names,
    )
]
if ctypes is not None:
    SCENES.append(("ctypes_callback", ctypes_callback))
