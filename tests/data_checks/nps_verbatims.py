"""Compares NPS of an imported file of answers with arithmetic on the file itself. No part of the test suite.

Imports FOLDER/verbatims.csv.gz with docs/imports/nps_verbatims.toml into a fresh tenant of a running stack, asks the
API for NPS in all and per moment, and counts promoters and detractors by hand. The interval is recomputed too.

    .venv/bin/python tests/data_checks/nps_verbatims.py FOLDER [--data-dir DIR]

Exit code 0: everything agrees.
"""

import argparse
import csv
import gzip
import json
import math
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
PLAUDIT = ROOT / ".venv/bin/plaudit"
Z_95 = 1.959963984540054


def main() -> int:
    """Check, print what was compared, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data-dir", help="of the running stack")
    options = parser.parse_args()
    stack = ["--data-dir", options.data_dir] if options.data_dir else []
    file = options.folder / "verbatims.csv.gz"
    rows = _rows(file)
    base_url = json.loads(_plaudit("status", "--json", *stack))["base_url"]
    key = json.loads(_plaudit("tenant", "create", "Check of an import", "--json", *stack))["api_key"]
    wrong = _check_imports(file, base_url, key, len(rows))
    with httpx.Client(base_url=base_url, headers={"authorization": f"Bearer {key}"}) as api:
        whole = api.get("/v1/kpis/nps").raise_for_status().json()
        groups = api.get("/v1/kpis/nps", params={"by": "moment"}).raise_for_status().json()["groups"]
    by_moment = defaultdict(list)
    for row in rows:
        if row["nps_score"].strip():
            by_moment[row["survey_sub_type"]].append(int(row["nps_score"]))
    wrong += _differences("all", whole, [score for scores in by_moment.values() for score in scores])
    wrong += [f"moments {[group['key'] for group in groups]}"] * (
        [group["key"] for group in groups] != sorted(by_moment)
    )
    for group in groups:
        wrong += _differences(str(group["key"]), group, by_moment[group["key"]])
    print("\n".join(["DIFFERENT", *wrong]) if wrong else "everything agrees")
    return 1 if wrong else 0


def _rows(file: Path) -> list[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def _plaudit(*arguments: str) -> str:
    return subprocess.run([PLAUDIT, *arguments], check=True, capture_output=True, text=True).stdout


def _check_imports(file: Path, base_url: str, key: str, num_rows: int) -> list[str]:
    wrong = []
    for count in ("stored", "duplicates"):
        with tempfile.TemporaryDirectory() as folder:
            words = ["import", str(file), "--map", str(ROOT / "docs/imports/nps_verbatims.toml"), "--json"]
            words += ["--base-url", base_url, "--api-key", key, "--rejects", f"{folder}/rejects.ndjson"]
            summary = json.loads(_plaudit(*words).splitlines()[-1])
        print(f"import: {summary}")
        if (summary["rows"], summary[count], summary["rejected"]) != (num_rows, num_rows, 0):
            wrong.append(f"import: {count} {summary[count]} of {num_rows}")
    return wrong


def _differences(name: str, told: dict[str, float], scores: Iterable[int]) -> list[str]:
    """Return what differs between the API's figures and the file's."""
    expected = _nps(list(scores))
    print(f"{name:<20} " + "  ".join(f"{field} {told[field]:.6f}" for field in expected))
    far = (field for field, value in expected.items() if not math.isclose(told[field], value, abs_tol=1e-9))
    return [f"{name}: {field} is {told[field]}, the file says {expected[field]}" for field in far]


def _nps(scores: list[int]) -> dict[str, float]:
    """Return n, NPS and its 95 % interval by adjusted Wald.

    Source: Rocks, "Interval Estimation for the Net Promoter Score", The American Statistician, 2016.
    """
    n = len(scores)
    promoters, detractors = sum(score >= 9 for score in scores), sum(score <= 6 for score in scores)
    p, d = (promoters + 0.75) / (n + 3), (detractors + 0.75) / (n + 3)
    half = Z_95 * math.sqrt((p + d - (p - d) ** 2) / (n + 3))
    interval = {"low": 100 * (p - d - half), "high": 100 * (p - d + half)}
    return {"n": n, "value": 100 * (promoters - detractors) / n, **interval}


if __name__ == "__main__":
    sys.exit(main())
