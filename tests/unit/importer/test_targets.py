"""An import fills exactly what the API takes."""

import pytest

from deploy.local.importer.targets import TARGETS
from services.gateway.routes.ingest import shapes


@pytest.mark.parametrize(
    ("name", "shape"),
    [("activities", shapes.ActivityIn), ("responses", shapes.ResponseIn), ("mentions", shapes.MentionIn)],
)
def test_a_map_may_name_every_field_of_the_api_and_no_other(name, shape):
    assert TARGETS[name].fields == set(shape.__struct_fields__)
