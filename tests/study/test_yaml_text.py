"""YAML of parameters: plain values come out, everything else is one line, at once."""

import time

import pytest

from harlib import HarlibError
from harlib.study.params import yaml_text
from harlib.study.params.notebooks import ParamsError
from harlib.study.runs.study_files import load_study, parse_overrides

pytestmark = pytest.mark.quick
BOMB = (
    "[&a [" + "x," * 9 + "], "
    + ", ".join(f"&{b} [" + f"*{a}," * 9 + "]" for a, b in zip("abcdef", "bcdefg", strict=True))
    + "]"
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1", "expected ',' or ']'.*line 1, column 3"),
        ("a: b: c", "mapping values are not allowed here in line 1, column 5"),
        ("a:\n\t- 1", "a tab where YAML takes spaces alone in line 2, column 1"),
        ("a\x00b", r"U\+0000 in line 1"),
        (BOMB, "more than 20,000 values"),
        ("{a: &a {b: 1}, c: {<<: [" + "*a," * 11_000 + "]}}", "more than 20,000 values"),
        ("&a [*a]", "an alias inside of what it stands for"),
        ("*a", "undefined alias 'a'"),
        ("[" * 5000, "nested more than 20 deep"),
        ("{a: " * 5000, "nested more than 20 deep"),
        ("- " * 5000, "nested more than 20 deep"),
        ("? " * 5000, "nested more than 20 deep"),
        ("[0," * 40 + "]" * 40, "nested more than 20 deep"),
        ("x" * 200_000, "200,000 characters are too long"),
        ("9" * 5000, "a number of 5,000 characters"),
        ('!!python/object/apply:os.system ["touch owned"]', "python/object/apply:os.system"),
        ("!!binary aGk=", "binary"),
        ("!!bool maybe", "bool"),
        ("a: 1\nb: 2\na: 3", "key 'a' is given twice, in line 1 and in line 3"),
        ("a:\n  - {b: 1,\n     b: 2}", "key 'b' is given twice, in line 2 and in line 3"),
        ("? [a]\n: 1", "a key is a name"),
        ("--- a\n--- b", "single document"),
    ],
)
def test_what_is_no_plain_yaml_is_one_line_within_a_second(text, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    began = time.process_time()
    with pytest.raises(HarlibError, match=words) as caught:
        yaml_text.parse(text)
    assert time.process_time() - began < 1
    assert len(str(caught.value)) < 250 and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_plain_values_come_out_and_an_alias_is_what_it_stands_for():
    text = "x: &a {b: 1.5}\ny: {<<: *a, c: [true, null, 'z']}\nday: 2001-02-03\nequal: ="
    assert yaml_text.parse(text) == {
        "x": {"b": 1.5},
        "y": {"b": 1.5, "c": [True, None, "z"]},
        "day": "2001-02-03",  # a folder may be called so
        "equal": "=",
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("key: é".encode("latin-1"), "file.yaml: line 1 is not UTF-8"),
        ("a: 1".encode("utf-16"), "file.yaml: line 1 is not UTF-8"),
        (b"a: 1\nb: \xff", "file.yaml: line 2 is not UTF-8"),
        (b"- a", "file.yaml: holds list"),
        (b"a: 1\na: 2", "file.yaml: key 'a' is given twice"),
    ],
)
def test_a_file_is_named_with_what_is_wrong(content, words, tmp_path):
    (tmp_path / "file.yaml").write_bytes(content)
    with pytest.raises(HarlibError, match=words):
        yaml_text.read(tmp_path / "file.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "file.yaml").write_bytes(b"\xef\xbb\xbfseed: 1")
    assert yaml_text.read(tmp_path / "file.yaml") == {"seed": 1}


def test_files_and_options_name_where_the_fault_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HARLIB_ROOT", str(tmp_path))
    folder = tmp_path / "params" / "tiny"
    folder.mkdir(parents=True)
    (folder / "03_c3d.yaml").write_text("epochs: 3\nepochs: 4")
    with pytest.raises(ParamsError, match="^params/tiny/03_c3d.yaml: key 'epochs' is given twice"):
        load_study(folder)
    for items, words in (
        (["epochs=[1"], "^--set epochs: not YAML"),
        (["epochs=1", "epochs=2"], "^--set epochs is given twice"),
        (["=3"], "^--set '=3': write it as KEY=VALUE"),
        (["a b=3"], "KEY=VALUE"),
    ):
        with pytest.raises(ParamsError, match=words):
            parse_overrides(items)
