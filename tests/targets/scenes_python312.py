"""Scenes in the syntax of Python 3.12 and later."""


class Generic[T: int]:
    def __init__(self, park):
        self.park = park

    def method[U](self, value: U, default: T = None) -> U:
        kept = value, default
        self.park()
        return kept


def type_parameters(park):
    return Generic[int](park).method("value")


def type_alias(park):
    local = 3
    type Lazy = list[park() or local]
    return Lazy.__value__


def type_bound(park):
    def bounded[T: park()](value: T):
        return value

    return bounded.__type_params__[0].__bound__


def comprehension_in_class(park):
    class Body:
        before = 1
        values = [park() or letter for letter in "ab"]

    return Body


def comprehension_with_cell(park):
    shadowed = "outer"
    kept = [lambda: shadowed]
    found = [(lambda: (shadowed, park()))() for shadowed in ("inner", "other")]
    return kept, found, shadowed


def comprehension_in_generator(park):
    def generator(items):
        yield [park() or item for item in items if item > 1]

    return list(generator([1, 2, 3]))


SCENES = [
    (function.__name__, function)
    for function in (
        type_parameters, type_alias, type_bound, comprehension_in_class, comprehension_with_cell,
        comprehension_in_generator,
    )
]
