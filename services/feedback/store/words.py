"""Enum values as the words that SQL and JSON use: `CASE_STATE_OPEN` is `open`."""

from typing import Generic, TypeVar, cast

from plaudit.feedback.v1 import feedback_pb2 as nouns

V = TypeVar("V", bound=int)


class Words(Generic[V]):
    """Both ways between the values of one proto enum and their words. The unspecified value has no word."""

    def __init__(self, values: dict[str, V]) -> None:
        prefix = next(name for name, number in values.items() if number == 0).removesuffix("UNSPECIFIED")
        self._words = {number: name.removeprefix(prefix).lower() for name, number in values.items() if number}
        self._numbers = {word: number for number, word in self._words.items()}

    def word(self, number: V) -> str | None:
        """Return the word of a value, None for the unspecified one and for those unknown here."""
        return self._words.get(number)

    def number(self, word: str | None) -> V:
        """Return the value of a word, 0 (unspecified) for None and for those unknown here."""
        return self._numbers.get(word or "", cast("V", 0))


METRIC = Words(dict(nouns.Metric.items()))
KIND = Words(dict(nouns.ResponseKind.items()))
STATE = Words(dict(nouns.CaseState.items()))
URGENCY = Words(dict(nouns.Urgency.items()))
CONFIRMATION = Words(dict(nouns.Confirmation.items()))
OUTCOME = Words(dict(nouns.ContactOutcome.items()))
