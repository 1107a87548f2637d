"""Rows become items, and what is no row is told by line, column and reason."""

import csv
import gzip
import io
import json

import pytest

from deploy.local.importer.problems import CannotRunError
from tests.unit.importer.exports import RESPONSES, KeepsItems

CUSTOMERS = """
target = "customers"
[fields]
customer_id = { template = "crm-{No}" }
email = { column = "Mail" }
acquired_at = { column = "Since", formats = ["%Y-%m-%d"], timezone = "UTC" }
goals = { column = "Goals", separator = "/" }
identities = [{ type = "email", value = { column = "Mail" } }, { type = "phone", value = { column = "Phone" } }]
source = "crm"
[fields.traits]
segment = { column = "Segment", values = { A = "key account", B = "other" }, otherwise = "blank" }
newsletter = { column = "News", type = "bool", values = { Yes = true, No = false } }
share = { column = "Share", type = "number" }
"""
PURCHASES = """
target = "activities"
[file]
format = "ndjson"
[[when]]
column = "state"
in = ["paid", "sent"]
[fields]
activity_id = { template = "order-{number}" }
type = "purchase.completed"
occurred_at = { column = "at", formats = ["epoch_seconds"] }
customer_id = { column = ["buyer", "id"] }
amount = { column = ["sum", "value"], decimals = 2, currency_column = ["sum", "currency"] }
[fields.properties]
lines = { column = "lines", type = "int" }
imported = true
"""


def written(*rows):
    text = io.StringIO()
    csv.writer(text).writerows([("date", "score", "text"), *rows])
    return text.getvalue().encode()


def test_a_row_becomes_an_item(imported):
    _, api, _ = imported(written(("01/05/2018", "0", "Too late")))
    assert api.batches == [
        [
            {
                "response_id": next(iter(api.stored)),
                "occurred_at": "2018-05-01T00:00:00Z",
                "metric": "nps",
                "score": 0,
                "verbatim": "Too late",
            }
        ]
    ]


def test_a_blank_score_is_left_out_and_not_zero(imported):
    _, api, _ = imported(written(("01/05/2018", " ", "What score?")))
    assert [item.get("score", "none") for item in api.stored.values()] == ["none"]


def test_a_row_without_score_and_comment_is_no_answer(imported):
    _, _, rejects = imported(written(("01/05/2018", "", "")))
    assert [(reject["column"], reject["code"]) for reject in rejects] == [("score", "BLANK")]


def test_the_same_file_twice_is_all_duplicates(imported):
    content = written(("01/05/2018", "0", "a"), ("01/05/2018", "9", "b"))
    _, api, _ = imported(content)
    counts, _, _ = imported(content, api=api)
    assert (counts.stored, counts.duplicates) == (0, 2)


def test_equal_rows_stay_apart_and_repeat_under_the_same_ids(imported):
    content = written(*[("01/05/2018", "9", "Good")] * 3)
    first, api, _ = imported(content)
    second, _, _ = imported(content, api=api)
    assert (first.stored, second.duplicates, len(api.stored)) == (3, 3, 3)


def test_equal_rows_are_one_where_the_map_says_so(imported):
    text = RESPONSES.replace('prefix = "r-"', 'prefix = "r-", repeats = "same"')
    counts, _, _ = imported(written(*[("01/05/2018", "9", "Good")] * 3), text)
    assert (counts.stored, counts.duplicates) == (1, 2)


def test_refused_rows_are_told_by_line_column_and_reason(imported):
    rows = [("13/05/2018", "9", "two\nlines"), ("May", "9", "x"), ("14/05/2018", "nine", "x"), ("14/05/2018", "9", "y")]
    counts, _, rejects = imported(written(*rows))
    told = [(reject["line"], reject["row"], reject["column"], reject["code"]) for reject in rejects]
    assert (counts.stored, told) == (2, [(4, 2, "date", "DATE_UNREADABLE"), (5, 3, "score", "NOT_A_NUMBER")])


def test_what_the_api_refuses_is_told_by_line_and_column(imported):
    api = KeepsItems(refuse={11})
    rows = [("13/05/2018", "9", "a"), ("13/05/2018", "11", "b"), ("13/05/2018", "8", "c")]
    counts, _, rejects = imported(written(*rows), api=api)
    told = [(reject["line"], reject["column"], reject["code"], reject["by"]) for reject in rejects]
    assert (counts.stored, counts.rejected, told) == (2, 1, [(3, "score", "OUT_OF_RANGE", "api")])


def test_a_month_first_column_that_is_declared_day_first_is_refused_whole(imported):
    counts, api, rejects = imported(written(("01/05/2018", "9", "a"), ("05/14/2018", "9", "b")))
    codes = {reject["code"] for reject in rejects}
    assert (counts.rejected, api.batches, codes) == (2, [], {"DATE_ORDER_IN_DOUBT"})


def test_one_exchanged_date_among_proofs_costs_its_row_only(imported):
    counts, _, rejects = imported(written(("14/05/2018", "9", "a"), ("05/14/2018", "9", "b"), ("01/05/2018", "9", "c")))
    assert (counts.stored, [reject["line"] for reject in rejects]) == (2, [3])


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (b'01/05/2018,9,"half\n', "NOT_CSV"),
        (b"01/05/2018,9\n", "WRONG_NUMBER_OF_CELLS"),
        (b"01/05/2018,9,a,b\n", "WRONG_NUMBER_OF_CELLS"),
        (b"01/05/2018,9,\xff\n", "NOT_IN_ENCODING"),
    ],
)
def test_what_is_no_csv_row_is_refused_alone(imported, broken, code):
    counts, _, rejects = imported(written(("13/05/2018", "9", "a")) + broken)
    assert (counts.stored, [(reject["line"], reject["code"]) for reject in rejects]) == (1, [(3, code)])


def test_gzip_a_byte_order_mark_and_blank_lines_are_no_trouble(imported):
    content = b"\xef\xbb\xbf" + written(("13/05/2018", "9", "a")) + b"\r\n\r\n"
    counts, _, _ = imported(gzip.compress(content))
    assert (counts.rows, counts.stored) == (1, 1)


def test_a_compressed_file_that_ends_early_says_so(imported):
    content = gzip.compress(written(("13/05/2018", "9", "a")))
    with pytest.raises(CannotRunError, match="ends early"):
        imported(content[:-12])


def test_an_archive_is_not_read_as_text(imported):
    with pytest.raises(CannotRunError, match="spreadsheet"):
        imported(b"PK\x03\x04 and so on")


def test_a_declared_encoding_and_delimiter_are_used(imported):
    text = RESPONSES.replace("[fields]", '[file]\nencoding = "cp1252"\ndelimiter = ";"\n[fields]')
    _, api, _ = imported("date;score;text\n13/05/2018;9;Grüße, €\n".encode("cp1252"), text)
    assert [item["verbatim"] for item in api.stored.values()] == ["Grüße, €"]


def test_a_customer_has_nested_fields_and_no_blank_ones(imported):
    content = b"No,Mail,Phone,Since,Goals,Segment,News,Share\n17,a@example.org,,2024-02-29,save / grow,C,Yes,0.25\n"
    _, api, _ = imported(content, CUSTOMERS)
    assert api.stored == {
        "crm-17": {
            "customer_id": "crm-17",
            "email": "a@example.org",
            "acquired_at": "2024-02-29T00:00:00Z",
            "goals": ["save", "grow"],
            "identities": [{"type": "email", "value": "a@example.org"}],
            "source": "crm",
            "traits": {"newsletter": True, "share": 0.25},
        }
    }


def purchase(number, state="paid", value="19.99"):
    return (
        f'{{"number":{number},"state":"{state}","at":1719828000,"buyer":{{"id":"c-1"}},'
        f'"sum":{{"value":{value},"currency":"EUR"}},"lines":3}}'
    )


def test_ndjson_is_read_exactly_and_filtered(imported):
    lines = [purchase(1), "", "{", "[]", purchase(2, "open"), purchase(3, value="0.295")]
    counts, api, rejects = imported("\n".join(lines).encode(), PURCHASES)
    assert api.stored["order-1"] == {
        "activity_id": "order-1",
        "type": "purchase.completed",
        "occurred_at": "2024-07-01T10:00:00Z",
        "customer_id": "c-1",
        "amount": {"amount_minor": 1999, "currency": "EUR"},
        "properties": {"lines": 3, "imported": True},
    }
    told = [(reject["line"], reject["code"], reject["column"]) for reject in rejects]
    assert (counts.skipped, told) == (
        1,
        [(3, "NOT_JSON", None), (4, "NOT_AN_OBJECT", None), (6, "NOT_WHOLE_MINOR_UNITS", "sum.value")],
    )


def test_an_interrupted_import_goes_on_after_the_last_answer(imported):
    rows = [("13/05/2018", "9", "same"), *(("13/05/2018", "x", "bad") for _ in range(3))]
    content = written(*rows * 700)
    with pytest.raises(ConnectionError):
        imported(content, api=KeepsItems(fail_after=1))
    counts, api, rejects = imported(content)
    assert (counts.rows, counts.stored, counts.rejected, len(rejects)) == (2800, 700, 2100, 2100)
    assert sum(len(batch) for batch in api.batches) < 700


def test_a_batch_keeps_the_limits_of_the_api(imported):
    content = written(*(("13/05/2018", "9", f"{number} " + "x" * 3000) for number in range(800)))
    _, api, _ = imported(content)
    sizes = [len(json.dumps(batch, separators=(",", ":"))) for batch in api.batches]
    assert len(sizes) == 3
    assert max(sizes) < 1024 * 1024
