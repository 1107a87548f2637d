"""A file, a map and a stand-in for the API make an import."""

import msgspec
import pytest

from deploy.local.importer.checkpoint import Checkpoint, Counts, Progress
from deploy.local.importer.doubt import order_in_doubt
from deploy.local.importer.load import Load
from deploy.local.importer.rejects import RejectsFile
from deploy.local.importer.rows import opened
from tests.unit.importer.exports import RESPONSES, KeepsItems, read_map


@pytest.fixture
def imported(tmp_path):
    """Import bytes by a map; returns the counts, the API and the rejects."""

    def run(content, text=RESPONSES, api=None):
        api = api or KeepsItems()
        wanted = read_map(text)
        path, rejects_path = tmp_path / "export", tmp_path / "rejects.ndjson"
        path.write_bytes(content)
        checkpoint = Checkpoint(tmp_path / "checkpoint", "k")
        done = checkpoint.load() or Progress(Counts(), 0)
        with (
            opened(path, wanted.file) as file,
            opened(path, wanted.file) as again,
            RejectsFile(rejects_path, keep_bytes=done.rejects_bytes, named=True) as rejects,
        ):
            doubt = order_in_doubt(wanted, again.rows)
            counts = Load(wanted, api, rejects, checkpoint, done.counts, in_doubt=doubt).run(file.rows)
        checkpoint.clear()
        lines = rejects_path.read_text().splitlines()
        return counts, api, [msgspec.json.decode(line) for line in lines]

    return run
