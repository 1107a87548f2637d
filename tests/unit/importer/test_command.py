"""What the operator sees: summary, exit code, one sentence when it cannot run."""

import argparse
import json

import pytest

from deploy.local.importer import command
from tests.unit.importer.exports import RESPONSES


@pytest.fixture
def plaudit_import(tmp_path, monkeypatch, capsys):
    """Run the verb on a file's text; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "map.toml").write_text(RESPONSES)
    monkeypatch.delenv("PLAUDIT_BASE_URL", raising=False)
    monkeypatch.delenv("PLAUDIT_API_KEY", raising=False)

    def run(text, *options):
        (tmp_path / "export.csv").write_text(text)
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        code = command.run(parser.parse_args(["import", "export.csv", "--map", "map.toml", *options]))
        return code, *capsys.readouterr()

    return run


def test_a_check_reads_everything_and_ends_with_the_summary(plaudit_import, tmp_path):
    code, out, _ = plaudit_import("date,score,text\n13/05/2018,9,a\nMay,9,b\n", "--check", "--json")
    rejects = str(tmp_path / "export.csv.rejects.ndjson")
    expected = {"stored": 0, "duplicates": 0, "unchanged": 0, "rejected": 1, "skipped": 0, "rejects_file": rejects}
    assert (code, json.loads(out)) == (command.SOME_REJECTED, {"rows": 2, **expected})


def test_nothing_is_left_behind_when_nothing_is_refused(plaudit_import, tmp_path):
    code, out, _ = plaudit_import("date,score,text\n13/05/2018,9,a\n", "--check", "--json")
    assert (code, json.loads(out)["rejects_file"]) == (command.STORED, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.csv", "map.toml"]


def test_the_rejects_file_is_for_the_operator_alone(plaudit_import, tmp_path):
    plaudit_import("date,score,text\nMay,9,b\n", "--check", "--rejects", "refused.ndjson")
    assert (tmp_path / "refused.ndjson").stat().st_mode & 0o777 == 0o600


def test_without_a_stack_it_says_what_to_do(plaudit_import, tmp_path):
    code, _, err = plaudit_import("date,score,text\n13/05/2018,9,a\n", "--data-dir", str(tmp_path / "none"))
    assert code == command.COULD_NOT_RUN
    assert "plaudit up" in err


def test_a_file_that_is_not_there_is_one_sentence(plaudit_import):
    code, _, err = plaudit_import("date,score,text\n", "--map", "absent.toml")
    assert (code, err) == (1, "plaudit import: the map absent.toml cannot be read: No such file or directory\n")


def test_an_empty_file_is_one_sentence(plaudit_import):
    code, _, err = plaudit_import("", "--check")
    assert (code, "is empty" in err) == (1, True)


def test_a_check_shows_the_first_item_as_it_would_be_sent(plaudit_import):
    _, out, _ = plaudit_import("date,score,text\n13/05/2018,9,a\n14/05/2018,8,b\n", "--check")
    summary, _, example = out.partition("The first item as it would be sent:\n")
    assert "2 rows read, nothing sent" in summary
    assert json.loads(example)["occurred_at"] == "2018-05-13T00:00:00Z"
