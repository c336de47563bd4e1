"""What py-print says of names and paths. What is right is what the target itself computes for the same expression."""

import json
import os
import re

import conftest
import pytest
from rig import gdbrun, paths, target

NAMES = ("2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped")
SCENE = os.path.join(paths.TARGETS, "print_scene.py")
HEX = "0x[0-9a-f]+"
# In the order in which the scene starts them, behind the main thread.
THREADS = ("kinds", "private", "unbound", "zoo")


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "case", NAMES)


class Case:
    """The scene on one interpreter. Tests look at it; then it computes the truth, which changes it."""

    def __init__(self, interpreter):
        self.interpreter = interpreter
        self.minor = interpreter.minor
        self.old = self.minor < (3,)
        self.scene = None

    def close(self):
        if self.scene:
            self.scene.close()

    def ask(self, thread, *commands):
        if self.scene is None:
            self.scene = target.Target(self.interpreter, SCENE, "ask")
        first = [f"thread {THREADS.index(thread) + 2}"]
        return gdbrun.run(first + list(commands), self.interpreter, pid=self.scene.pid)[1:]

    def print(self, thread, paths_):
        """{path: (text, error)} of `py-print path`."""
        answers = self.ask(thread, *(f"py-print {path}" for path in paths_))
        return {path: (a.text.strip(), a.error.strip()) for path, a in zip(paths_, answers, strict=True)}


@pytest.fixture(scope="module")
def case(request):
    made = Case(*request.param)
    yield made
    made.close()


def truth_of(case, thread, questions, tmp_path):
    """What py-print --json answers to {path: expression}, beside what the target computes: {path: (answer, truth)}."""
    file = tmp_path / "questions.json"
    file.write_text(json.dumps({thread: sorted(set(questions.values()))}))
    with target.Target(case.interpreter, SCENE, "ask", extra=[str(file)]) as scene:
        commands = [f"thread {THREADS.index(thread) + 2}", *(f"py-print --json {path}" for path in questions)]
        answers = gdbrun.run(commands, case.interpreter, pid=scene.pid)[1:]
        truth = scene.testify()[thread]
    found = {}
    for (path, expression), answer in zip(questions.items(), answers, strict=True):
        said = json.loads(answer.text) if answer.text.strip() else {"error": answer.error.strip()}
        found[path] = said, truth[expression]
    return found


def test_names_without_a_value(case):
    answers = case.print("unbound", ["shadow", "later", "only_here", "lost", "unbound", "len", "nosuch"])
    for name, of in (("shadow", "of a function around inner"), ("later", "of a function around inner"),
                     ("lost", "of inner")):
        wanted = f"'{name}' is a local variable {of} without a value (there is a global of that name)"
        assert answers[name] == ("", wanted)
    assert answers["only_here"] == ("", "'only_here' is a local variable of inner without a value")
    assert answers["unbound"][0].startswith("global 'unbound' = <function unbound ")
    assert answers["len"][0].startswith("builtin 'len' = <built-in ")
    assert answers["nosuch"] == ("", "'nosuch' not found")
    answers = case.ask("unbound", "py-up", "py-print shadow", "set pyext style stock", "py-print shadow")
    assert answers[1].error.strip() == \
        "'shadow' is a local variable of unbound without a value (there is a global of that name)"
    # Stock style has the words of CPython's own script, which looks on.
    assert answers[3].text.strip() == "global 'shadow' = 'the global one'"


def check_equal(case, thread, questions, tmp_path):
    """The value that py-print shows of a path is the repr of what the target computes for the expression."""
    wrong = []
    for path, (said, truth) in truth_of(case, thread, questions, tmp_path).items():
        if "repr" not in truth or said.get("value") != truth["repr"]:
            wrong.append(f"{path}: {said.get('value', said)}, truth {truth.get('repr', truth)}")
    assert not wrong, "\n".join(wrong)


def check_same(case, thread, questions, tmp_path):
    """py-print shows the very object that the target computes for the expression."""
    wrong = []
    for path, (said, truth) in truth_of(case, thread, questions, tmp_path).items():
        if (int(said.get("address") or "0", 16), said.get("type")) != (truth.get("id"), truth.get("type")):
            wrong.append(f"{path}: {said}, truth {truth}")
    assert not wrong, "\n".join(wrong)


def same(names):
    return {name: name for name in names.split()}


def test_attributes_by_value(case, tmp_path):
    questions = same(
        "slotted.left prop.kind prop.plain prop.cached point.x point.y number.real number.imag number.denominator "
        "truth.real truth.imag pi.real pi.imag compound.real compound.imag simple.args simple.extra error.errno "
        "error.strerror error.filename error.args function.__name__ function.__defaults__ function.__doc__ "
        "function.__module__ function.note function.__dict__ function.__code__.co_name function.__code__.co_argcount "
        "function.__code__.co_flags function.__code__.co_names function.__code__.co_firstlineno function.func_name "
        "prop.__class__.__name__ Prop.__name__ Prop.__module__ prop.__module__ int.__name__ int.__module__ "
        "Prop.__basicsize__ int.__basicsize__ generator.__name__ generator.gi_code.co_name partial.args "
        "partial.keywords cut.start cut.stop cut.step bound.__name__ builtin.__name__ len.__name__ plain.__dict__ "
        "sys.version_info.major sys.version_info.releaselevel sys.maxsize os.path.sep json.__name__ "
        "point_class._fields old.value old.kind old_child.kind Old.__name__ OldChild.kind cell closure.__name__ "
        "prop.method.__name__ prop.method.__func__.__name__ prop.method.__self__.cached "
        "default.default_factory.__name__")
    if not case.old:
        questions.update(same(
            "error.__cause__ error.__suppress_context__ error.__context__.args function.__qualname__ numbers.start "
            "numbers.stop numbers.step Prop.__qualname__ int.__qualname__ generator.__qualname__ "
            "function.__kwdefaults__ error.__traceback__.tb_next error.__traceback__.tb_frame.f_code.co_name"))
        del questions["function.func_name"]
    if case.minor in ((3, 11),):
        # Its attributes lie in the instance, and not in a dict, until somebody asks for the dict.
        questions["prop.__dict__['plain']"] = "prop.plain"
    # The target computes it with its own expression: what it would give is a view of a dict.
    questions["Base.__dict__['kind']"] = "Base.kind"
    check_equal(case, "zoo", questions, tmp_path)


def test_attributes_by_object(case, tmp_path):
    questions = same(
        "prop.__class__ Prop.__bases__ Prop.__mro__ Prop.__base__ function.__code__ function.__globals__ "
        "closure.__closure__ bound.__self__ bound.__func__ builtin.__self__ partial.func generator.gi_code "
        "prop.method.__func__ prop.method.__self__ prop.static Prop.static Prop.computed Prop.computed.fget "
        "slotted.__class__ Slotted.left int.__mro__ int.__bases__ type.__mro__ str.join Prop.__class__ "
        "default.default_factory json.loads old.__class__ Old.__name__ point_class.__bases__ simple.__class__.__mro__ "
        "function.__code__.co_filename Plain.__dict__['described']")
    if case.old:
        # Unbound methods and views of dicts are made anew when asked for.
        questions.update(same("function.func_code bound.im_self bound.im_func bound.im_class"))
    else:
        questions.update(same("error.__context__ error.__traceback__ error.__traceback__.tb_frame Prop.method"))
    check_same(case, "zoo", questions, tmp_path)


def test_methods_are_bound(case):
    qualified = "" if case.old else "Prop."
    answers = case.print("zoo", ["prop", "prop.method", "prop.of_class", "Prop.of_class", "queue.append",
                                 "prop.method.__self__", "number.bit_length", "dict.fromkeys", "number.__add__",
                                 "old.method"])
    text = {path: answer[0] for path, answer in answers.items()}
    at = re.search(rf" at remote ({HEX})>$", text["prop"]).group(1)
    assert text["prop.method"] == \
        f"local 'prop.method' = <bound method {qualified}method of Prop object at remote {at}>"
    for path, scope in (("prop.of_class", "local"), ("Prop.of_class", "global")):
        wanted = rf"{scope} '{path}' = <bound method {qualified}of_class of type object at remote {HEX}>$"
        assert re.match(wanted, text[path]), text[path]
    wanted = rf"local 'queue.append' = <built-in method append of collections.deque object at remote {HEX}>$"
    assert re.match(wanted, text["queue.append"])
    assert f" at remote {at}>" in text["prop.method.__self__"]
    assert "<built-in method bit_length of int object at remote 0x" in text["number.bit_length"]
    assert "<built-in method fromkeys of type object at remote 0x" in text["dict.fromkeys"]
    assert "<method-wrapper '__add__' of int object at 0x" in text["number.__add__"]
    assert "<bound method " in text["old.method"]


def test_what_only_code_could_answer(case):
    computed = "its value is what code in the process would compute; pyext runs none"
    wanted = {
        "prop.computed": f"'prop.computed' is a property: {computed}",
        "plain.described": f"'plain.described' is a descriptor (Descriptor): {computed}",
        "Plain.described": f"'Plain.described' is a descriptor (Descriptor): {computed}",
        "slotted.right": rf"'slotted' \(Slotted at {HEX}\) has no value for .right",
        "plain.nosuch": rf"'plain' \(Plain at {HEX}\) has no .nosuch",
        "prop.__nosuch": rf"'prop' \(Prop at {HEX}\) has no .__nosuch",
        "Plain.nosuch": rf"'Plain' \(type at {HEX}\) has no .nosuch",
        "number.nosuch": rf"'number' \(int at {HEX}\) has no .nosuch",
        "truthlib.nosuch": rf"'truthlib' \(module at {HEX}\) has no .nosuch",
        "hooked.any": rf"'hooked' \(Hooked at {HEX}\) has no .any that can be read: .* code of its own, .*",
        "odd_array.typecode": "'odd_array.typecode' (exists and )?cannot be read: .*",
        "odd_array[0]": rf"'odd_array' \(array.array at {HEX}\): what is in its brackets is what code .*",
        "own[0]": rf"'own' \(Own at {HEX}\): .* what code .* would find \(its __getitem__\); pyext runs none",
        "made['x']": rf"'made' \(Made at {HEX}\): .* \(the key is not there; its __missing__\); pyext runs none",
        "plain[0]": rf"'plain' \(Plain at {HEX}\) has no \[0\]",
    }
    answers = case.print("zoo", list(wanted))
    for path, pattern in wanted.items():
        text, error = answers[path]
        assert not text, path
        # Parentheses stand for themselves where no pattern is meant.
        pattern = pattern.replace("(Descriptor)", r"\(Descriptor\)")
        assert re.fullmatch(pattern, error), f"{path}: {error}"


def test_private_names(case, tmp_path):
    questions = {"self.__secret": "self._Prop__secret", "self._Base__secret": "self._Base__secret"}
    if case.minor >= (3, 11):
        questions["__local"] = "_Prop__local"
    check_equal(case, "private", questions, tmp_path)
    answer, = case.print("zoo", ["slotted.__hidden"]).values()
    assert answer[0] == "local 'slotted.__hidden' = 'in a slot'"


def test_keys_and_indices(case, tmp_path):
    paths_ = [
        "keys[None]", "keys[True]", "keys[1]", "keys[1.0]", "keys[0x1]", "keys[-5]", "keys[0o3]", "keys[0b11]",
        f"keys[{2**70}]", f"keys[{-2**70}]", f"keys[{hex(2**70)}]", "keys[1.5]", "keys[15e-1]", "keys[2.0]", "keys[2]",
        "keys[(1, 'a')]", "keys[1, 'a']", "keys[ ( 1,'a', ) ]", "keys[()]", "keys[((1, 2), None)]", r"keys[b'by\xff']",
        '''keys["it's"]''', r"keys['it\'s']", r"keys['tab\t']", r"keys['tab\x09']", r"keys['\x74\141b\t']",
        "keys['a]']", "keys['x:y']", "keys [ 3 ]", "keys[3] ['deep'] [ 0 ]['er']", "keys[3]['deep'][0] . keys.__name__",
        "text[0]", "text[1]", "text[-1]", "wide[0]", "wide[1]", "wide[-1]", "words[2]", "raw[0]", "raw[1]", "raw[-1]",
        "array_[0]", "array_[-1]", "numbers[0]", "numbers[3]", "numbers[-1]", "queue[0]", "queue[99]", "queue[-100]",
        "point[0]", "point[-1]", "default['key']", "ordered['two']", "nested[0][1][-1]", "nested[1]['k'][0]",
        "words[0][0]", "function.__defaults__[0][0]", "prop.plain[1]", "function.__name__[0]",
    ]
    if not case.old:
        paths_ += [r"keys['\xe9\u20ac']", r"keys['\u00e9\U000020ac']", "keys['\u00e9\u20ac']"]
    check_equal(case, "zoo", {path: path for path in paths_}, tmp_path)


def test_keys_that_are_not_there(case):
    missing = [
        "keys['nosuch']", "keys[99]", "keys[-1]", "keys[1.25]", "keys[(1, 'b')]", "keys[(1,)]", "keys[b'nosuch']",
        f"keys[{2**71}]", "text[99]", "text[-6]", "raw[3]", "array_[3]", "numbers[7]", "numbers[-8]", "queue[100]",
        "queue[-101]", "point[2]", f"point[{2**70}]", "point['x']", "point[1.0]", "number[0]", "nested[None]",
    ]
    if not case.old:
        missing.append("keys['by\\xff']")  # text is not bytes
    answers = case.print("zoo", missing)
    for path in missing:
        text, error = answers[path]
        name, bracket, key = path.partition("[")
        assert not text, path
        assert re.fullmatch(rf"'{name}' \(\S+ at {HEX}\) has no {re.escape(plain(bracket + key))}", error), error
    refused = [
        "nested[0:1]", "nested[:]", "nested[::2]", "words[1:]", "nested[0", "nested[]", "nested[x]", "nested[1 2]",
        "nested[(1]", "nested['x]", r"nested['\x4']", "nested[1]x", "nested.", "nested..x", ".x", "1x", "nested[--1]",
    ]
    answers = case.print("zoo", refused)
    for path in refused:
        text, error = answers[path]
        assert not text, path
        assert len(error.splitlines()) == 1, error
        wanted = "slices are not supported: type one index" if ":" in path else "is no name and no path such as "
        assert wanted in error, error


def test_values_as_python_writes_them(case, tmp_path):
    questions = same("dates moments times spans zones folded deques moments[0] dates[0]")
    questions.update(same(
        "moments[2].year moments[2].month moments[2].day moments[2].hour moments[2].minute moments[2].second "
        "moments[2].microsecond moments[0].tzinfo times[1].hour times[2].second dates[0].day spans[4].days "
        "spans[4].seconds spans[4].microseconds moment.year"))
    if not case.old:
        # Python 2 has them as a class written in Python.
        questions.update(same("decimals colours zones[4].tzinfo folded[0].fold colours[0].name colours[0].value "
                              "colours[3].value colours[3].name Colour.NESTED.value"))
    check_equal(case, "kinds", questions, tmp_path)


def test_instances_with_a_better_form(case):
    names = ["zoned", "moment", "money", "deque_child", "point", "child", "empty", "version", "default", "no_factory",
             "default_child", "partial", "ordered", "odd"]
    found = case.print("kinds", names)
    at = rf" at remote {HEX}>"
    kind = "type" if case.old else "class"
    wanted = {
        "zoned": rf"datetime\.datetime\(2026, 11, 25, 13, 0, tzinfo=<Zone{at}\)",
        "moment": rf"<Moment\(datetime\.datetime\(2026, 11, 25, 13, 5\)\){at}",
        "money": rf"<Money\(Decimal\('1\.5'\)\){at}",
        "deque_child": rf"<Queue\(deque\(\[1\], maxlen=3\)\){at}",
        "point": rf"<Point\(x=10, y='why'\){at}",
        "child": rf"<NamedChild\(x=1, y=\[2\], note='more'\){at}",
        "empty": rf"<Empty\(\(\)\){at}",
        "version": rf"<sys\.version_info\(major={case.minor[0]}, minor={case.minor[1]}, micro=\d+, .*\){at}",
        "default": rf"<collections\.defaultdict\(<{kind} 'list'>, \{{'k': \[1\]\}}\){at}",
        "no_factory": rf"<collections\.defaultdict\(None, \{{'k': 1\}}\){at}",
        "default_child": rf"<Default\(<{kind} 'int'>, \{{'k': 1\}}\){at}",
        "partial": rf"<functools\.partial\(<{kind} 'int'>, '11', base=2\){at}",
        "ordered": rf"<(collections\.)?OrderedDict\(\{{'a': 2, 'm': 3, 'z': 1\}}, note='an attribute'\){at}",
    }
    if case.old:
        del wanted["money"]  # a class written in Python
        wanted["version"] = rf"<sys\.version_info{at}"  # no tuple yet
    for name, pattern in wanted.items():
        text = found[name][0]
        assert re.fullmatch(f"local '{name}' = {pattern}", text), text
    odd = found["odd"][0]
    for part in ("5=6", "None=7", "(1, 'a')=8", "name=9"):
        assert re.search(rf"[(,] ?{re.escape(part)}[,)]", odd), odd


def test_classes_with_the_names_of_c_types(case):
    found = case.print("kinds", [f"fakes[{number}]" for number in range(6)])
    names = ("collections.deque", "datetime.datetime", "decimal.Decimal", "datetime.timedelta",
             "collections.defaultdict", "functools.partial")
    for name, (text, error) in zip(names, found.values(), strict=True):
        assert re.fullmatch(rf"local 'fakes\[\d\]' = <{name} at remote {HEX}>", text), text + error


def test_completion_of_attributes(case):
    typed = ["prop.", "prop.pl", "prop.__cl", "prop.__class__.", "slotted.", "keys[3]['deep'].app", "nosuch.",
             "prop.nosuch.", "prop.method.__na", "os.path.se", "old_child.", "point.", "prop.plain", "functio"]
    answers = case.ask("zoo", *(f"complete py-print {text}" for text in typed))
    found = {}
    for text, answer in zip(typed, answers, strict=True):
        assert not answer.error.strip(), answer.error
        found[text] = [line.removeprefix("py-print ") for line in answer.text.splitlines()]
    names = {"prop.plain", "prop.cached", "prop.computed", "prop.static", "prop.of_class", "prop.method", "prop.kind",
             "prop._Prop__secret", "prop._Base__secret", "prop.park_here"}
    assert set(found["prop."]) == names
    assert found["prop.pl"] == found["prop.plain"] == ["prop.plain"]
    assert found["prop.__cl"] == ["prop.__class__"]
    assert {"prop.__class__.kind", "prop.__class__.mro"} <= set(found["prop.__class__."])
    assert set(found["slotted."]) == {"slotted.left", "slotted.right", "slotted._Slotted__hidden"}
    assert found["keys[3]['deep'].app"] == ["keys[3]['deep'].append"]
    assert found["nosuch."] == found["prop.nosuch."] == []
    assert "prop.method.__name__" in found["prop.method.__na"]
    assert "os.path.sep" in found["os.path.se"]
    assert set(found["old_child."]) == {"old_child.value", "old_child.kind", "old_child.method"}
    assert {"point.x", "point.y"} <= set(found["point."])
    assert found["functio"] == ["function"]


def test_without_a_name(case):
    alone, _, stock = case.ask("zoo", "py-print", "set pyext style stock", "py-print")
    assert alone.error.strip() == "py-print: which name or path, such as self.pool[0]? Type: help py-print"
    assert not alone.text
    assert stock.text.strip() == "'' not found"


def plain(text):
    """As the answers write what was typed."""
    return "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text)
