"""Scenes in the syntax of Python 3.10 and 3.11."""


def matched(park):
    subject = {"kind": "pair", "items": [1, (2, 3)], "rest": None}
    match subject:
        case {"kind": str(kind), "items": [first, (second, *others)], **rest} if others:
            park()
            return kind, first, second, rest


def except_star(park):
    try:
        raise ExceptionGroup("group", [ValueError(1), TypeError("two")])
    except* ValueError as group:
        values = len(group.exceptions)
        park()
        print(values)
    except* TypeError:
        pass


def group_of_contexts(park):
    from contextlib import ExitStack, nullcontext

    with (
        nullcontext("one") as one,
        ExitStack() as stack,
    ):
        stack.callback(park)
        two = one + "two"
        raise KeyError(two)


def caught_in_contexts(park):
    try:
        group_of_contexts(park)
    except KeyError:
        pass


SCENES = [(function.__name__, function) for function in (matched, except_star, caught_in_contexts)]
