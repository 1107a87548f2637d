"""The documents keep their own promises: links lead somewhere, commands exist, decisions are numbered."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MAX_README_LINES = 150
DECISION_PARTS = ("## Context", "## Decision", "## Consequences", "## Alternatives")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dead_links(document: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    return [target for target in targets if "://" not in target and not (document.parent / target).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_relative_links_lead_somewhere(document: Path) -> None:
    assert dead_links(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_make_commands_exist(document: Path) -> None:
    named = set(re.findall(r"(?:`|^ {4}|\$ )make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert named - targets == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(path.name[:4] for path in (ROOT / "docs/adr").glob("*.md"))

    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("decision", sorted((ROOT / "docs/adr").glob("*.md")), ids=relative)
def test_a_decision_says_what_else_there_was(decision: Path) -> None:
    text = decision.read_text()

    assert [part for part in DECISION_PARTS if part not in text] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.toml")), ids=relative)
def test_an_example_in_toml_can_be_read(path: Path) -> None:
    assert tomllib.loads(path.read_text())
