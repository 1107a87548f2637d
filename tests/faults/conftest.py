"""One whole stack for all fault tests; each test has tenants of its own."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.faults.harness import Client, Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack."""
    made = Stack(tmp_path_factory.mktemp("faults") / "data")
    made.up()
    yield made
    made.down()


@pytest.fixture
async def partner(stack: Stack) -> AsyncIterator[Callable[[str], Client]]:
    """Make clients, each of a tenant of its own."""
    made: list[Client] = []

    def make(name: str) -> Client:
        client = Client(stack, stack.new_tenant(name))
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close()
