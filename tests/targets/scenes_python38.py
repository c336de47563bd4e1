"""Scenes in the syntax of Python 3.8 and later."""


def positional(first, second=2, /, third=3, *, fourth=4, **named):
    third += 1
    named["park"]()
    return first, second, fourth


def positional_only(park):
    return positional("one", third="three" and 3, first="in named", park=park)


def walrus(park):
    values = [place := 7, (lambda: place)()]
    if (found := sum(values)) > 3:
        park()
    return found


def walrus_in_comprehension(park):
    seen = [last := value for value in range(3) if value < 2 or park() or True]
    return seen, last


SCENES = [(function.__name__, function) for function in (positional_only, walrus, walrus_in_comprehension)]
