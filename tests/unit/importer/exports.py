"""An export of answers as a map describes it, and a stand-in for the API."""

import tomllib
from decimal import Decimal

import msgspec

from deploy.local.importer import maps
from deploy.local.importer.send import Answer, Refusal

RESPONSES = """
target = "responses"
[fields]
response_id = { hash = ["date", "score", "text"], prefix = "r-" }
occurred_at = { column = "date", formats = ["%d/%m/%Y"], timezone = "UTC" }
metric = "nps"
score = { column = "score" }
verbatim = { column = "text" }
"""


class KeepsItems:
    """Stands for the API: stores by id, tells repeats, refuses what it is told to refuse."""

    def __init__(self, refuse=frozenset(), fail_after=None):
        self.stored = {}
        self.batches = []
        self.on_retry = print
        self._refuse = refuse
        self._fail_after = fail_after

    def send(self, items):
        if self._fail_after is not None and len(self.batches) >= self._fail_after:
            raise ConnectionError
        decoded = [msgspec.json.decode(item) for item in items]
        self.batches.append(decoded)
        refused, duplicates = [], 0
        for index, item in enumerate(decoded):
            name = next(iter(item.values()))
            duplicates += name in self.stored
            if item.get("score") in self._refuse:
                refused.append(Refusal(index, "OUT_OF_RANGE", f"/items/{index}/score", "score is 0 to 10"))
            else:
                self.stored[name] = item
        return Answer(len(items) - duplicates - len(refused), duplicates, 0, tuple(refused))


def read_map(text):
    return maps.read(tomllib.loads(text, parse_float=Decimal), digest="m")
