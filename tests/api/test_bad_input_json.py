"""Bodies that are no JSON, or JSON of another shape: refused with a pointer, never a 5xx, nothing stored."""

import json

import pytest

PATH = "/v1/activities"


def body(**fields):
    good = {
        "activity_id": "act-1",
        "customer_id": "c",
        "type": "purchase.completed",
        "occurred_at": "2026-01-02T03:04:05Z",
    }
    return {**good, **fields}


def raw(field, text):
    """Return a good body with one field's value as raw JSON text."""
    return json.dumps(body(**{field: "@"})).replace('"@"', text).encode()


JSON = {"Content-Type": "application/json"}

BROKEN = {
    "nan": raw("value", "NaN"),
    "infinity": raw("value", "Infinity"),
    "minus infinity": raw("value", "-Infinity"),
    "lone surrogate": raw("channel", '"\\ud800"'),
    "inverted pair": raw("channel", '"\\udc00\\ud800"'),
    "not utf-8": raw("channel", '"@"').replace(b"@", b"\xff"),
    "overlong": raw("channel", '"@"').replace(b"@", b"\xc0\xaf"),
    "cesu": raw("channel", '"@"').replace(b"@", b"\xed\xa0\xbd\xed\xb8\x80"),
    "bom": b"\xef\xbb\xbf" + json.dumps(body()).encode(),
    "utf-16": json.dumps(body()).encode("utf-16"),
    "trailing garbage": json.dumps(body()).encode() + b"x",
    "comment": json.dumps(body()).encode() + b"// c",
    "single quotes": b"{'activity_id': 'a'}",
    "trailing comma": b'{"activity_id":"a",}',
    "cut short": b'{"activity_id":"a"',
    "empty": b"",
    "900 deep": raw("properties", '{"a":' + "[" * 900 + "]" * 900 + "}"),
    "65 deep": raw("channel", "[" * 65 + "]" * 65),
    "100,000 open": b"[" * 100_000,
    "raw control character": raw("channel", '"a\x01b"'),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_json_is_400(api, problem, content):
    reply = await api.post(PATH, content=content, headers=JSON)
    if reply.status_code == 422:
        problem(reply, 422)
    else:
        problem(reply, 400, "JSON_INVALID")
    assert (await api.get(f"{PATH}/act-1")).status_code == 404


@pytest.mark.parametrize("content", [b"null", b"[]", b'"x"', b"1", b"true"])
async def test_another_top_level_is_422(api, problem, content):
    problem(await api.post(PATH, content=content, headers=JSON), 422, "TYPE_INVALID")


WRONG = [
    ("value", "1e400", "OUT_OF_RANGE"),
    ("value", '"nan"', "TYPE_INVALID"),
    ("value", '"1"', "TYPE_INVALID"),
    ("value", "true", "TYPE_INVALID"),
    ("verified", '"yes"', "TYPE_INVALID"),
    ("verified", "1", "TYPE_INVALID"),
    ("verified", "0", "TYPE_INVALID"),
    ("channel", "5", "TYPE_INVALID"),
    ("channel", '"a\\u0000b"', "TEXT_INVALID"),
    ("channel", '"a\\u202eb"', "TEXT_INVALID"),
    ("channel", '"a\\nb"', "TEXT_INVALID"),
    ("channel", '""', "BLANK"),
    ("channel", '"\\u3164"', "BLANK"),
    ("channel", '"\\u00a0 "', "BLANK"),
    ("channel", json.dumps("x" * 201), "ITEM_TOO_LARGE"),
    ("channel", '{"$gt": ""}', "TYPE_INVALID"),
    ("occurred_at", '"2026-01-02T03:04:05"', "OFFSET_MISSING"),
    ("occurred_at", "1767323045", "TYPE_INVALID"),
    ("occurred_at", '"1767323045"', "TIME_INVALID"),
    ("occurred_at", '"2026-01-02"', "TIME_INVALID"),
    ("occurred_at", '"2026-01-02T23:59:60Z"', "TIME_INVALID"),
    ("occurred_at", '"2026-02-30T00:00:00Z"', "TIME_INVALID"),
    ("occurred_at", '"2026-13-01T00:00:00Z"', "TIME_INVALID"),
    ("occurred_at", '"2026-01-01T24:00:00Z"', "TIME_INVALID"),
    ("occurred_at", '"0000-01-01T00:00:00Z"', "TIME_INVALID"),
    ("occurred_at", '"10000-01-01T00:00:00Z"', "TIME_INVALID"),
    ("occurred_at", '"2026-01-01T00:00:00+24:00"', "TIME_INVALID"),
    ("occurred_at", '"9999-12-31T23:59:59-12:00"', "OCCURRED_AT_IN_FUTURE"),
    ("occurred_at", '"0001-01-01T00:00:00+12:00"', "TIME_OUT_OF_RANGE"),
    ("occurred_at", '"1969-12-31T23:59:59Z"', "TIME_OUT_OF_RANGE"),
    ("occurred_at", "null", "TYPE_INVALID"),
    ("activity_id", '""', "ID_INVALID"),
    ("activity_id", '"a b"', "ID_INVALID"),
    ("activity_id", '"-a"', "ID_INVALID"),
    ("activity_id", '"a\\u0000"', "ID_INVALID"),
    ("activity_id", '"a\\n"', "ID_INVALID"),
    ("activity_id", '"\\u00e9"', "ID_INVALID"),
    ("activity_id", json.dumps("a" * 129), "ID_INVALID"),
    ("activity_id", '"jo@example.com"', "ID_IS_PERSONAL"),
    ("customer_id", '"+4915112345678"', "ID_IS_PERSONAL"),
    ("customer_id", '"415-555-0123"', "ID_IS_PERSONAL"),
    ("customer_id", '"004915112345678"', "ID_IS_PERSONAL"),
    ("customer_id", '"0049-30-1234567"', "ID_IS_PERSONAL"),
    ("type", '"a.*"', "ACTIVITY_TYPE_UNKNOWN"),
    ("type", '">"', "ACTIVITY_TYPE_UNKNOWN"),
    ("type", '".a"', "ACTIVITY_TYPE_UNKNOWN"),
    ("type", '"$JS.API"', "ACTIVITY_TYPE_UNKNOWN"),
    ("type", '"x. a"', "ACTIVITY_TYPE_UNKNOWN"),
    ("type", '"purchase.happened"', "ACTIVITY_TYPE_UNKNOWN"),
    ("properties", "[]", "TYPE_INVALID"),
    ("properties", '{"a":1e131071}', "OUT_OF_RANGE"),
    ("properties", '{"a":9007199254740993}', "OUT_OF_RANGE"),
    ("properties", '{"a":"\\u0000"}', "TEXT_INVALID"),
    ("properties", '{"\\u0000":1}', "TEXT_INVALID"),
    ("properties", json.dumps({"a": "x" * 1001}), "ITEM_TOO_LARGE"),
    ("properties", json.dumps({f"k{i}": 1 for i in range(65)}), "ITEM_TOO_LARGE"),
    ("properties", json.dumps({f"k{i}": "x" * 999 for i in range(17)}), "ITEM_TOO_LARGE"),
    ("properties", '{"a":{"b":{"c":{"d":{}}}}}', "ITEM_TOO_LARGE"),
    ("nonsense", "1", "FIELD_UNKNOWN"),
    ("tenant_id", '"x"', "FIELD_UNKNOWN"),
    ("received_at", '"2026-01-02T03:04:05Z"', "FIELD_UNKNOWN"),
    ("__proto__", "{}", "FIELD_UNKNOWN"),
]


@pytest.mark.parametrize(("field", "text", "code"), WRONG)
async def test_a_wrong_field_is_422_with_its_pointer(api, problem, field, text, code):
    reply = await api.post(PATH, content=raw(field, text), headers=JSON)
    problem(reply, 422, code, f"/{field}")
    assert (await api.get(f"{PATH}/act-1")).status_code in {404, 422}


MONEY = [
    ('{"amount_minor":0.1,"currency":"EUR"}', "TYPE_INVALID", "/amount/amount_minor"),
    ('{"amount_minor":1.0,"currency":"EUR"}', "TYPE_INVALID", "/amount/amount_minor"),
    ('{"amount_minor":1e3,"currency":"EUR"}', "TYPE_INVALID", "/amount/amount_minor"),
    ('{"amount_minor":"1","currency":"EUR"}', "TYPE_INVALID", "/amount/amount_minor"),
    ('{"amount_minor":true,"currency":"EUR"}', "TYPE_INVALID", "/amount/amount_minor"),
    ('{"amount_minor":9223372036854775808,"currency":"EUR"}', "OUT_OF_RANGE", "/amount/amount_minor"),
    ('{"amount_minor":-9223372036854775809,"currency":"EUR"}', "OUT_OF_RANGE", "/amount/amount_minor"),
    ('{"amount_minor":9007199254740993,"currency":"EUR"}', "OUT_OF_RANGE", "/amount/amount_minor"),
    ('{"amount_minor":' + "9" * 5000 + ',"currency":"EUR"}', "OUT_OF_RANGE", "/amount/amount_minor"),
    ('{"amount_minor":-1,"currency":"EUR"}', "OUT_OF_RANGE", "/amount/amount_minor"),
    ('{"amount_minor":1,"currency":"eur"}', "CURRENCY_UNKNOWN", "/amount/currency"),
    ('{"amount_minor":1,"currency":"XXX"}', "CURRENCY_UNKNOWN", "/amount/currency"),
    ('{"amount_minor":1,"currency":"BTC"}', "CURRENCY_UNKNOWN", "/amount/currency"),
    ('{"amount_minor":1}', "FIELD_REQUIRED", "/amount/currency"),
    ('{"amount_minor":1,"currency":"EUR","x":1}', "FIELD_UNKNOWN", "/amount/x"),
]


@pytest.mark.parametrize(("text", "code", "pointer"), MONEY)
async def test_money_is_whole_minor_units_of_a_known_currency(api, problem, text, code, pointer):
    problem(await api.post(PATH, content=raw("amount", text), headers=JSON), 422, code, pointer)


@pytest.mark.parametrize(
    "fields", [{"customer_id": "2026-11-21"}, {"customer_id": "1234567890123"}, {"customer_id": "42"}]
)
async def test_dates_and_numbers_are_good_ids(api, fields):
    assert (await api.post(PATH, json=body(**fields))).status_code == 201


async def test_several_faults_are_told_at_once(api, problem):
    reply = await api.post(PATH, json=body(activity_id="a b", channel=" ", customer_id="x@y.example"))
    found = {(error["pointer"], error["code"]) for error in problem(reply, 422)["errors"]}
    assert found == {("/activity_id", "ID_INVALID"), ("/channel", "BLANK"), ("/customer_id", "ID_IS_PERSONAL")}


CANARY = "victim.canary@example.com"


@pytest.mark.parametrize(
    "field", ["activity_id", "type", "occurred_at", "channel", "amount", "verified", "properties", CANARY]
)
async def test_what_was_sent_is_never_repeated(api, field):
    reply = await api.post(PATH, json=body(**{field: CANARY}))
    assert "canary" not in reply.text or reply.status_code == 201


async def test_an_item_over_32_kib_is_refused(api, problem):
    big = body(properties={f"k{i}": "x" * 900 for i in range(40)})
    problem(await api.post(PATH, json=big), 422, "ITEM_TOO_LARGE")


RESPONSES = [
    ({"score": 11}, "/score"),
    ({"score": -1}, "/score"),
    ({"score": 7.5}, "/score"),
    ({"score": "9"}, "/score"),
    ({"score": True}, "/score"),
    ({"metric": "csat", "score": 6}, "/score"),
    ({"metric": "ces", "score": 0}, "/score"),
    ({"metric": "NPS"}, "/metric"),
    ({"metric": "x"}, "/metric"),
    ({"scale": "0-100"}, "/scale"),
    ({"kind": "both"}, "/kind"),
    ({"verbatim": "x" * 4001}, "/verbatim"),
    ({"verbatim": "a\0b"}, "/verbatim"),
    ({"customer_id": "a@b.example"}, "/customer_id"),
    ({"contact_ok": "no"}, "/contact_ok"),
]


@pytest.mark.parametrize(("fields", "pointer"), RESPONSES)
async def test_a_wrong_answer_is_422_with_its_pointer(api, good, problem, fields, pointer):
    problem(await api.post("/v1/responses", json=good("responses", **fields)), 422, None, pointer)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"metric": ...}, "METRIC_MISSING"),
        ({"score": ...}, "ANSWER_MISSING"),
        ({"score": ..., "verbatim": " \n "}, "ANSWER_MISSING"),
        ({"survey": "never-put"}, "SURVEY_UNKNOWN"),
    ],
)
async def test_an_answer_that_says_nothing_is_422(api, good, problem, fields, code):
    problem(await api.post("/v1/responses", json=good("responses", **fields)), 422, code)


async def test_an_activity_about_nobody_is_422(api, good, problem):
    problem(await api.post(PATH, json=good("activities", customer_id=...)), 422, "SUBJECT_MISSING")
