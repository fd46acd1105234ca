"""Cells of CSV files: no formulas, numbers as they are, and the same text read back."""

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_alexnet.utils import files
from keras_alexnet.utils.cells import cell, text_of


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "+", "'=1"]
)
def test_what_a_spreadsheet_computes_gets_an_apostrophe(text):
    assert cell(text) == f"'{text}" and text_of(cell(text)) == text


@pytest.mark.parametrize(
    "text", ["-0.5", "+3", "-1e-05", "-inf", "cat", "", "it's", "'quoted'", "a=b"]
)
def test_numbers_and_other_text_stay_as_they_are(text):
    assert cell(text) == text_of(text) == text


def test_numbers_have_six_digits():
    assert [cell(value) for value in (-0.123456789, -3, None, True)] == [
        "-0.123457",
        "-3",
        "",
        "True",
    ]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="'=+-@\t\r\n1.ea", max_size=6))
def test_every_text_is_read_back(text):
    assert text_of(cell(text)) == text


def test_tables_are_read_back_also_after_a_spreadsheet_saved_them(tmp_path):
    rows = [{"name": "=1", "note": "a,\nb"}, {"name": "-0.5", "note": "Café"}]
    path = tmp_path / "a.csv"
    files.write_csv(path, rows)
    assert files.read_csv(path) == (("name", "note"), rows)
    written = path.read_bytes()
    for row in rows:
        files.record(path, row, ("name", "note"))
    files.record(path, {"name": "@new", "note": None}, ("name", "note"))
    assert path.read_bytes() == written + b"'@new,\n"
    path.write_bytes(b"\xef\xbb\xbf" + written.replace(b"\n", b"\r\n").replace(b"a,\r\n", b"a,\n"))
    assert files.read_csv(path) == (("name", "note"), rows)


@pytest.mark.parametrize(
    "contents", [b"\xff\xfe\x00", b"a,b\n1\n", b"a,b\n1,2,3\n", b'a,b\n"1,2\n']
)
def test_files_that_are_no_tables_are_refused(tmp_path, contents):
    from keras_alexnet.errors import UserError

    (tmp_path / "a.csv").write_bytes(contents)
    with pytest.raises(UserError, match="is not a CSV file.*--record"):
        files.record(tmp_path / "a.csv", {"a": 1, "b": 2}, ("a", "b"))
    assert (tmp_path / "a.csv").read_bytes() == contents


def test_csv_of_python_reads_the_apostrophe_as_text(tmp_path):
    files.write_csv(tmp_path / "a.csv", [{"a": "=1"}])
    with open(tmp_path / "a.csv", newline="") as file:
        assert list(csv.reader(file)) == [["a"], ["'=1"]]
