"""The simulated company repeats itself, says that it is simulated, and reads through its own maps."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local.demo import company
from deploy.local.importer import maps
from deploy.local.importer.items import filled
from deploy.local.importer.sources import Row

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MAPS = Path(company.__file__).parent / "maps"


@pytest.fixture(scope="module")
def made():
    return company.simulated(17, NOW, num_customers=60)


def test_the_same_seed_makes_the_same_company(made):
    assert company.simulated(17, NOW, num_customers=60) == made


def test_every_customer_carries_the_word_and_a_number(made):
    assert all(row["Company"].startswith(f"Simulated customer {row['No']},") for row in made.customers)


@pytest.mark.parametrize("name", ["customers", "activities", "responses"])
def test_every_row_reads_through_its_map(made, name):
    wanted = maps.load(MAPS / f"{name}.toml")
    rows = getattr(made, name)
    items = [filled(wanted.fields, as_read(number, row)) for number, row in enumerate(rows, 1)]
    assert len({item[wanted.target.id_field] for item in items}) == len(rows)


def test_nothing_happens_after_the_end(made):
    ends = [datetime.strptime(row["Answered"], "%d/%m/%Y %H:%M").replace(tzinfo=UTC) for row in made.responses]
    assert max(ends) < NOW


def as_read(number, row):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(row)
    text.seek(0)
    return Row(number, number + 1, next(csv.DictReader(text)))
