"""A mistake in a map is one message with its key and the fix."""

import re
from pathlib import Path

import pytest

from deploy.local.importer import command, maps
from deploy.local.importer.problems import CannotRunError, MapError
from deploy.local.importer.targets import TARGETS
from tests.unit.importer.exports import RESPONSES, read_map

DOCUMENTED = Path(maps.__file__).parents[3] / "docs/imports"


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ('"responses"', '"answers"', "target", "one of activities, customers, mentions, responses"),
        ("metric =", "metrics =", "fields.metrics", "did you mean metric"),
        ("[fields]", "[feilds]", "feilds", "did you mean fields"),
        ("[fields]", '[file]\nseparator = ";"\n[fields]', "file.separator", "delimiter"),
        ("[fields]", '[file]\nencoding = "utf8000"\n[fields]', "file.encoding", "is no encoding"),
        ("[fields]", '[file]\nencoding = "rot13"\n[fields]', "file.encoding", "is no encoding"),
        ("[fields]", '[file]\ndelimiter = "tab"\n[fields]', "file.delimiter", "one character"),
        ("[fields]", '[[when]]\ncolumn = "a"\n[fields]', "when.0", "one of blank, equals"),
        ("[fields]", '[[when]]\ncolumn = "a"\nin = "b"\n[fields]', "when.0.in", "take a list"),
        ('metric = "nps"', "", "fields.metric", "need one of metric, survey"),
        ("occurred_at = {", "score2 = {", "fields.score2", "did you mean score"),
        ('score = { column = "score"', 'score = { colum = "score"', "fields.score", "did you mean column"),
        ('score = { column = "score"', "score = { column = 3", "fields.score.column", "name a column"),
        ('{ column = "score"', '{ column = "score", typ = "int"', "fields.score.typ", "did you mean type"),
        ('{ column = "score"', '{ column = "score", type = "float"', "fields.score.type", "string, int, number"),
        ('{ column = "score"', '{ column = "score", type = "bool"', "fields.score.type", "is of type int"),
        ('{ column = "score"', '{ column = "score", multiply = "2"', "fields.score.multiply", "it is a number"),
        ('{ column = "score"', '{ column = "score", otherwise = "keep"', "fields.score.otherwise", "values"),
        ('{ column = "text"', '{ column = "text", template = "{a}"', "fields.verbatim", "column and template"),
        ('{ column = "text"', '{ template = "{a"', "fields.verbatim.template", "a lone '{'"),
        ('{ column = "text"', '{ template = "a"', "fields.verbatim.template", "names no column"),
        ('["date", "score", "text"]', "[]", "fields.response_id.hash", "name the columns"),
        ('prefix = "r-"', 'repeats = "count"', "fields.response_id.repeats", "number, same"),
    ],
)
def test_a_mistake_names_the_key_and_the_fix(old, new, key, says):
    with pytest.raises(MapError, match=re.escape(says)) as wrong:
        read_map(RESPONSES.replace(old, new, 1))
    assert wrong.value.key == key


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ('{ column = "a", currency = "EUR" }', "decimals"),
        ('{ column = "a", decimals = 2 }', "currency"),
        ('{ column = "a", decimals = 2, currency = "euro" }', "currency"),
        ('{ column = "a", decimals = 2, currency = "EUR", currency_column = "c" }', "currency"),
        ('{ column = "a", decimals = 2, currency = "EUR", thousands_separator = "." }', "thousands_separator"),
    ],
)
def test_an_amount_declares_decimals_and_currency(spec, key):
    text = f"""
    target = "activities"
    [fields]
    activity_id = {{ column = "id" }}
    type = "purchase.completed"
    customer_id = {{ column = "customer" }}
    occurred_at = {{ column = "at", formats = ["rfc3339"] }}
    amount = {spec}
    """
    with pytest.raises(MapError) as wrong:
        read_map(text)
    assert wrong.value.key == f"fields.amount.{key}"


@pytest.mark.parametrize("text", [b"target =", b"\xff\xfe"])
def test_a_map_that_is_no_toml_says_so(tmp_path, text):
    (tmp_path / "map.toml").write_bytes(text)
    with pytest.raises(CannotRunError, match="is not TOML"):
        maps.load(tmp_path / "map.toml")


@pytest.mark.parametrize("path", sorted(DOCUMENTED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_documented_map_is_right(path):
    assert maps.load(path).columns()


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (["date", "Score", "text"], "did you mean 'Score'"),
        (["date", "score", "text", "score"], "2 columns named 'score'"),
        (["date;score;text"], "is file.delimiter right"),
    ],
)
def test_a_column_that_the_file_has_not_is_named_before_any_row(header, says):
    with pytest.raises(MapError, match=re.escape(says)):
        command._check_columns(read_map(RESPONSES), header)


def test_the_maps_on_the_page_can_be_read():
    page = (DOCUMENTED / "README.md").read_text()
    blocks = re.findall(r"^ *```toml\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    assert [read_map(block).target.name for block in blocks] == ["activities", "activities"]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_page_names_every_field(target):
    (row,) = (line for line in (DOCUMENTED / "README.md").read_text().splitlines() if f"| `{target.name}` |" in line)
    assert target.fields <= set(re.findall(r"`(\w+)`", row))
