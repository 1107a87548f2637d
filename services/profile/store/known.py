"""Which customers need no stub any more: in memory, a hint and no record."""

import uuid
from collections.abc import Collection, Iterable


class Known:
    """The customers that this process saw stored, known or stubs: there for good, since no customer is ever deleted.

    Args:
        most: so many are kept; then it begins anew.
    """

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._size = 0
        self._ids: dict[uuid.UUID, set[str]] = {}

    def of(self, tenant_id: uuid.UUID) -> Collection[str]:
        """Return the ids that are known of a tenant."""
        return self._ids.get(tenant_id, ())

    def add(self, tenant_id: uuid.UUID, ids: Iterable[str]) -> None:
        """Note ids, once the transaction that saw to them is committed."""
        if self._size > self._most:
            self._ids.clear()
            self._size = 0
        known = self._ids.setdefault(tenant_id, set())
        before = len(known)
        known.update(ids)
        self._size += len(known) - before
