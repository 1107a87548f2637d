"""The documented retry rule: the same body again, with patience and an end."""

import httpx
import pytest

from deploy.local.importer.problems import CannotRunError
from deploy.local.importer.send import Sender, Waiting
from deploy.local.importer.targets import CUSTOMERS, RESPONSES

GOOD = {"stored": 1, "duplicates": 0, "rejected": [], "rejected_total": 0}


class Clock:
    """Time that passes only by waiting."""

    def __init__(self):
        self.waits = []

    def waiting(self):
        return Waiting(self.waits.append, lambda: sum(self.waits), lambda low, high: high)


def sender(answers, clock, *, seen=None, **options):
    replies = iter(answers)

    def handle(request):
        if seen is not None:
            seen.append(request.content)
        reply = next(replies)
        if isinstance(reply, Exception):
            raise reply
        return reply

    transport = httpx.MockTransport(handle)
    return Sender("http://api", "key", RESPONSES, waiting=clock.waiting(), transport=transport, **options)


@pytest.mark.parametrize("trouble", [httpx.Response(status) for status in (429, 502, 503, 504)] + [httpx.ReadError("")])
def test_trouble_sends_the_same_body_again(trouble):
    seen, clock = [], Clock()
    answer = sender([trouble, httpx.Response(200, json=GOOD)], clock, seen=seen).send([b'{"a":1}'])
    assert (answer.stored, len(seen), len(set(seen))) == (1, 2, 1)


def test_waits_grow_to_five_seconds_and_end_after_sixty():
    clock = Clock()
    with pytest.raises(CannotRunError, match="goes on where it stopped"):
        sender([httpx.Response(503) for _ in range(50)], clock).send([b"{}"])
    assert clock.waits[:7] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert 55 <= sum(clock.waits) <= 60


def test_retry_after_goes_first():
    clock = Clock()
    asked = httpx.Response(503, headers={"retry-after": "7"})
    sender([asked, httpx.Response(200, json=GOOD)], clock).send([b"{}"])
    assert clock.waits == [7.0]


def test_history_is_asked_for_facts_only():
    seen, clock = [], Clock()
    sender([httpx.Response(200, json=GOOD)], clock, seen=seen, history=True).send([b"{}"])
    transport = httpx.MockTransport(
        lambda request: (
            seen.append(request.content)
            or httpx.Response(200, json={"created": 1, "updated": 0, "unchanged": 0, "rejected": []})
        )
    )
    Sender("http://api", "key", CUSTOMERS, history=True, transport=transport).send([b"{}"])
    assert seen == [b'{"items":[{}],"history":true}', b'{"items":[{}]}']


def test_a_batch_that_is_refused_whole_is_halved_until_the_item_is_alone():
    def handle(request):
        bad = b"bad" in request.content
        problem = {
            "code": "ITEM_TOO_LARGE",
            "errors": [{"pointer": "/items/0/verbatim", "code": "X", "detail": "long"}],
        }
        return httpx.Response(422, json=problem) if bad else httpx.Response(200, json=GOOD)

    sent = Sender("http://api", "key", RESPONSES, transport=httpx.MockTransport(handle))
    answer = sent.send([b'"a"', b'"b"', b'"bad"', b'"d"'])
    assert (answer.stored, [(each.index, each.code) for each in answer.refused]) == (2, [(2, "X")])


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {"detail": "unknown key"}, "PLAUDIT_API_KEY"),
        (403, {"detail": "no", "scope": "history:write"}, "history:write"),
        (404, {}, "goes without /v1"),
        (500, {"code": "INTERNAL", "detail": "oops"}, "500 INTERNAL: oops"),
    ],
)
def test_what_no_retry_helps_is_said_at_once(status, body, says):
    with pytest.raises(CannotRunError, match=says):
        sender([httpx.Response(status, json=body)], Clock()).send([b"{}"])
