"""Scenes in the syntax of Python 3.6 and later."""

import os
import types


def delegate(park):
    got = yield 1
    park()
    yield got


def delegating(park):
    result = yield from delegate(park)
    return result


def yield_from(park):
    generator = delegating(park)
    next(generator)
    generator.send("value")


def nonlocals(park):
    counter = 0

    def increase(step):
        nonlocal counter
        counter += step
        if counter > 2:
            park()
        return increase(step)

    return increase(1)


def keyword_only(first, *others, key, other_key="default", **named):
    local = 1
    named["park"]()
    return first, others, key, other_key, local


def keywords(park):
    return keyword_only(1, 2, 3, key="given", park=park, more=None)


def bare_star(first, *, key=None):
    key()
    return first


def stars(park):
    return bare_star("value", key=park)


@types.coroutine
def suspend(value):
    return (yield value)


class Async:
    def __init__(self, park):
        self.park = park
        self.count = 0

    async def __aenter__(self):
        await suspend("enter")
        return self

    async def __aexit__(self, *exception):
        self.park()

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.count += 1
        if self.count > 2:
            raise StopAsyncIteration
        return self.count

    def __await__(self):
        yield "awaited"
        return self.count


async def leaf(park, depth):
    value = await suspend(depth)
    park()
    return value


async def branch(park, depth):
    return await leaf(park, depth + 1)


def coroutine(park):
    outer = branch(park, 0)
    outer.send(None)
    outer.send("resumed")


async def async_statements(park):
    total = 0
    async with Async(park) as manager:
        async for number in manager:
            total += number
        total += await manager
    return total


def drive(park):
    task = async_statements(park)
    try:
        while True:
            task.send(None)
    except StopIteration as stop:
        return stop.value


async def async_generator(park):
    for number in range(3):
        await suspend(number)
        if number == 1:
            park()
        yield number


async def consume(park):
    return [number async for number in async_generator(park)]


def async_comprehension(park):
    task = consume(park)
    while True:
        task.send(None)


def chained_exceptions(park):
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError as error:
        cause = error.__cause__
        park()
        return cause


class Meta(type):
    @classmethod
    def __prepare__(mcs, name, bases, **named):
        return {"prepared": name}

    def __new__(mcs, name, bases, namespace, park=None):
        made = super().__new__(mcs, name, bases, namespace)
        if park:
            park()
        return made

    def __init__(cls, name, bases, namespace, park=None):
        super().__init__(name, bases, namespace)


def metaclass(park):
    class Made(metaclass=Meta, park=park):
        annotated: int = 3
        bare: str

    return Made


class Hooked:
    def __init_subclass__(cls, park=None, **named):
        super().__init_subclass__(**named)
        park()


def subclass_hook(park):
    class Sub(Hooked, park=park):
        pass

    return Sub


def named_tuples(park):
    annotated: int = 5
    f_string = f"{annotated:>5}|{park() or annotated!r}"
    return f_string


def größe(breite, höhe=3, *, naïve="ß", park):
    fläche = breite * höhe
    变量 = {"schlüssel": fläche}
    park()
    return 变量, naïve


def non_ascii_names(park):
    класс = type("Класс", (), {})
    return größe(2, park=park), класс


def non_ascii_files(park):
    names = {"park": park, "__name__": "модуль"}
    folder = os.path.join(os.getcwd(), "каталог €")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "módulo 模块 \U0001f600.py")
    with open(path, "w", encoding="utf-8") as out:
        out.write("def выполнить(значение):\n    park()  # ждать\n\n\nвыполнить('да')\n")
    with open(path, encoding="utf-8") as source:
        exec(compile(source.read(), path, "exec"), names)


def undecodable_file(park):
    exec(compile("park()", os.fsdecode(b"no\xffwhere.py"), "exec"), {"park": park})


SCENES = [
    (function.__name__, function)
    for function in (
        yield_from, nonlocals, keywords, stars, coroutine, drive, async_comprehension, chained_exceptions, metaclass,
        subclass_hook, named_tuples, non_ascii_names, non_ascii_files, undecodable_file,
    )
]
