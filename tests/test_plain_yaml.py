"""Files that people write: plain values as typed, every key once, regular files only."""

import os
from pathlib import Path

import pytest

from objectives.allowed import read_allowed
from objectives.plain_yaml import parsed, read_yaml
from objectives.space import build_space, check
from objectives.table import Table


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[on, off, yes, NO]", ["on", "off", "yes", "NO"]),
        ("[true, False]", [True, False]),
        ("[1:30, 010, 2020-01-02]", ["1:30", "010", "2020-01-02"]),
        ("[1e-4, 1E5, -2.5e3, .5, 1., 7, -0]", [1e-4, 1e5, -2500.0, 0.5, 1.0, 7, 0]),
        ("[~, null]", [None, None]),
        ("{<<: {a: 1, b: 2}, b: 3}", {"a": 1, "b": 3}),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
        ('{"a": [1.5, "é", null]}', {"a": [1.5, "é", None]}),
    ],
)
def test_words_are_read_as_typed(text: str, value: object) -> None:
    found = parsed(text)
    assert found == value
    assert repr(found) == repr(value)


REPEATED = "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}' if before else 'l'] * 9)}]"
    for before, name in zip(["", *"abcdefg"], "abcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{a: 1, a: 2}", "the key a occurs twice"),
        ('[{"a": 1, "a": 2}]', "the key a occurs twice"),
        ("&a [*a]", "nested too deeply"),
        ("&a {x: *a}", "nested too deeply"),
        ("[" * 5000, "nested too deeply"),
        (REPEATED, "more than 1000000 values"),
        ("!!binary aGVsbG8=", "type bytes"),
        ("!!set {a}", "type set"),
        ("!!timestamp 2020-13-45", "month"),
        ("{1: 2}", "the key 1, which is not text"),
        ("9" * 5000, "digits"),
        ("!!python/object/apply:os.getcwd []", "constructor"),
        ("a: [", "expected the node content"),
    ],
)
def test_what_is_not_plain_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason) as raised:
        read_yaml(path)
    assert str(raised.value).startswith(f"{path}: expected YAML or JSON in UTF-8, got: ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("\ufeffx1,x2\r\n1, 2.5\r\n\r\n", [{"x1": 1, "x2": 2.5}]),
        ('"x1","x2"\n"on",\n', [{"x1": "on"}]),
        ("x1,x2\ntrue,1e-3\n", [{"x1": True, "x2": 1e-3}]),
    ],
)
def test_a_csv_file_of_a_spreadsheet_is_a_list(
    tmp_path: Path, text: str, rows: list[dict[str, object]]
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode())
    assert read_allowed(str(path)) == rows


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x1,x2\n1,2,3\n", r"row 1 \(line 2\): expected 2 cells, got 3"),
        ("x1,x2\n1\n", r"row 1 \(line 2\): expected 2 cells, got 1"),
        ("x1,x1\n1,2\n", "expected a different name for each column"),
        ('x1,x2\n"1,2\n', "expected a CSV file in UTF-8, got: unexpected end of data"),
        ("x1,x2\n1_000,2\n", "column x1: expected a finite number, got '1_000'"),
        ("x1,x2\n1e999,2\n", "column x1: expected a finite number, got '1e999'"),
        ("x1,x2\n", "expected at least one row"),
    ],
)
def test_a_malformed_csv_file_is_named_with_its_row(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason) as raised:
        read_allowed(str(path))
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize("name", ["x.yaml", "x.csv"])
def test_a_pipe_or_a_device_is_not_read(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / f"zero-{name}").symlink_to("/dev/zero")
    for path in (tmp_path / name, tmp_path / f"zero-{name}"):
        with pytest.raises(ValueError, match="expected a regular file, got a pipe, a device"):
            read_allowed(str(path))
    with pytest.raises(ValueError, match="expected a regular file"):
        Table(tmp_path / name, {}, [])


def test_a_boolean_is_no_number() -> None:
    space = build_space({"x": {"type": "float", "lower": 0, "upper": 1}})
    with pytest.raises(ValueError, match="config: expected a number for x, got True"):
        check(space, {"x": True})
