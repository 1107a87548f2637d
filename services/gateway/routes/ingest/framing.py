"""Requests that store facts, put together from the facts' own bytes: nothing is copied into a message and out again."""

from collections.abc import Sequence

from libs.common.events import lead
from plaudit.common.v1.ingest_pb2 import ItemContext

from .kinds import Kind


class Framing:
    """Frames the requests of one kind of fact.

    Args:
        kind: which kind.
    """

    def __init__(self, kind: Kind) -> None:
        self._request = kind.request
        self._is_filled = kind.is_filled
        items = kind.request.DESCRIPTOR.fields_by_name["items"]
        within = items.message_type.fields_by_name
        self._items = items.number
        self._noun = within[kind.noun].number
        self._context = within["context"].number

    def request(self, items: Sequence[bytes], contexts: Sequence[ItemContext]) -> bytes:
        """Return a request's bytes.

        Args:
            items: facts as their messages' bytes.
            contexts: one for each, or one for all.
        """
        if len(contexts) == 1:
            # Of a batch nobody asks what was filled in.
            brief = len(items) > 1 or not self._is_filled
            parts = [self._item(self._noun, item) for item in items]
            rest: bytes = self._request(context=contexts[0], brief=brief).SerializeToString()
            return b"".join([*parts, rest])
        parts = [
            self._item(self._noun, item, lead(self._context, context.ByteSize()) + context.SerializeToString())
            for item, context in zip(items, contexts, strict=True)
        ]
        rest = self._request(brief=not self._is_filled).SerializeToString()
        return b"".join([*parts, rest])

    def _item(self, number: int, item: bytes, context: bytes = b"") -> bytes:
        head = lead(number, len(item))
        return lead(self._items, len(head) + len(item) + len(context)) + head + item + context
