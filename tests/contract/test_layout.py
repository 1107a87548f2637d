"""The tree is as CONTRIBUTING.md says: rooms, sizes, names, locks and dependencies."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("libs", "services", "deploy") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SERVICES = ("profile", "feedback", "referral", "scoring", "gateway")
COMMON = {
    *("audit", "clock", "db", "errors", "events", "faults", "idempotency"),
    *("ingest", "migrate", "server", "settings", "telemetry", "tenancy", "timers"),
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_COMMON_LINES = 2_500


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


def long_functions(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        f"{relative(path)}:{node.lineno} {node.name}"
        for node in functions
        if node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]


def direct_dependencies() -> set[str]:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    pins = [pin for group in groups.values() for pin in group if isinstance(pin, str)]
    return {re.match(r"[a-z0-9-]+", pin).group() for pin in pins}


def names_in(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", (ROOT / lock).read_text(), re.MULTILINE))


def test_no_file_is_longer_than_400_lines() -> None:
    assert [relative(path) for path in [*SOURCES, *TESTS] if lines_of(path) > MAX_FILE_LINES] == []


def test_no_function_is_longer_than_40_lines() -> None:
    assert [name for path in [*SOURCES, *TESTS] for name in long_functions(path)] == []


def test_libs_common_is_a_closed_list() -> None:
    names = {path.stem for path in (ROOT / "libs/common").iterdir() if path.suffix == ".py" or path.is_dir()}

    assert names - {"__init__", "__pycache__", "migrations"} <= COMMON


def test_libs_common_stays_small() -> None:
    assert sum(lines_of(path) for path in SOURCES if relative(path).startswith("libs/common/")) <= MAX_COMMON_LINES


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_package_holds_only_a_docstring(service: str) -> None:
    body = ast.parse((ROOT / "services" / service / "__init__.py").read_text()).body

    assert [type(node) for node in body] == [ast.Expr]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_dependency_group_of_its_name(service: str) -> None:
    assert service in tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_are_numbered_without_gaps(service: str) -> None:
    numbers = sorted(path.name[:4] for path in (ROOT / "services" / service / "migrations").glob("*.sql"))

    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_no_file_has_a_name_that_says_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "models", "managers", "misc", "base"}

    assert [relative(path) for path in SOURCES if path.stem in vague] == []


def test_only_libs_common_and_the_gateways_edge_catch_everything() -> None:
    catching = re.compile(r"^\s*except( \(?(Base)?Exception\b.*)?:", re.MULTILINE)
    services = [path for path in SOURCES if relative(path).startswith("services/")]
    inside = [path for path in services if not relative(path).startswith("services/gateway/edge/")]

    assert [relative(path) for path in inside if catching.search(path.read_text())] == []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    excuse = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b")

    assert [relative(path) for path in TESTS if excuse.search(path.read_text())] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-uv.lock"])
def test_a_lock_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_the_lock_pins_every_direct_dependency() -> None:
    assert direct_dependencies() - names_in("requirements.lock") == set()


def test_every_direct_dependency_is_explained() -> None:
    explained = set(re.findall(r"^\| ([a-z0-9-]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE))

    assert explained - {"package"} == direct_dependencies()
