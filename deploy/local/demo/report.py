"""The demo's report on the terminal: NPS with its interval, who waits longest, the lowest and the highest scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from .api import Api, Json
from .cases import CLOSED

_NUM_CASES = 6
_NUM_CUSTOMERS = 3
_NUM_REASONS = 4
_SPARKS = "▁▂▃▄▅▆▇█"


def printed(api: Api, now: datetime, console: Console) -> None:
    """Print the report.

    Args:
        api: of the tenant.
        now: the time of the stack, UTC.
        console: where to.
    """
    customers = list(api.all("/v1/customers"))
    names = {str(customer["customer_id"]): str(customer["name"] or customer["customer_id"]) for customer in customers}
    console.rule("A simulated field-service company, one year")
    _print_nps(api, console)
    _print_cases(api, now, names, console)
    _print_scores(api, names, console)


def _print_nps(api: Api, console: Console) -> None:
    whole = api.get("/v1/kpis/nps", interval="month")
    console.print()
    console.print(f"[bold]NPS {_signed(whole['value'])}[/]  {_interval(whole)}, {whole['n']:,} answers")
    series = [point for point in whole["series"] if point["n"]]
    if series:
        line = _sparks([float(point["value"]) for point in series])
        console.print(f"by month   {line}  {_signed(series[0]['value'])} to {_signed(series[-1]['value'])}")
    table = _table("moment", "answers", "NPS", "95 % interval", right=(1, 2, 3))
    groups = sorted(api.get("/v1/kpis/nps", by="moment")["groups"], key=lambda group: _number(group["value"]))
    for group in groups:
        key = group["key"] or "the company as a whole"
        table.add_row(key, f"{group['n']:,}", _signed(group["value"]), _interval(group))
    console.print(Padding(table, (1, 0, 0, 0)))


def _print_cases(api: Api, now: datetime, names: dict[str, str], console: Console) -> None:
    cases = list(api.all("/v1/cases"))
    waiting = sorted((case for case in cases if case["state"] not in CLOSED), key=lambda case: str(case["opened_at"]))
    console.print()
    console.print(f"[bold]{len(waiting)} cases are open[/], {len(cases) - len(waiting)} closed; who waits longest:")
    table = _table("waits", "customer", "state", "due", "score", "said", right=(0, 4))
    for case in waiting[:_NUM_CASES]:
        answer = api.get(f"/v1/responses/{case['triggers'][0]['id']}")
        waits = _span(now - datetime.fromisoformat(case["opened_at"]))
        name = names.get(str(case["customer_id"]), str(case["customer_id"]))
        said = str(answer["verbatim"] or "")
        table.add_row(waits, name, str(case["state"]), _due(case, now), str(answer["score"]), said)
    console.print(Padding(table, (1, 0, 0, 0)))


def _print_scores(api: Api, names: dict[str, str], console: Console) -> None:
    scores = {name: api.get(f"/v1/customers/{name}/score") for name in names}
    valued = sorted(
        (name for name in scores if scores[name]["value"] is not None), key=lambda name: _value(scores[name])
    )
    for title, chosen in (
        ("Lowest scores", valued[:_NUM_CUSTOMERS]),
        ("Highest scores", valued[: -_NUM_CUSTOMERS - 1 : -1]),
    ):
        console.print()
        console.print(f"[bold]{title}[/], and where they come from:")
        table = _table("score", "customer", "rung", "evidence", right=(0,))
        for name in chosen:
            score = scores[name]
            table.add_row(f"{_value(score):.1f}", names[name], str(score["rung"]), _reasons(score["evidence"]))
        console.print(Padding(table, (1, 0, 0, 0)))


def _reasons(evidence: Iterable[Json]) -> str:
    """Return the evidence by signal, the weightiest first; base and limit apart."""
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for item in evidence:
        sums[str(item["signal"])] += float(item["contribution"])
        counts[str(item["signal"])] += 1
    ordered = sorted(sums, key=lambda signal: -abs(sums[signal]))
    shown = [f"{signal}{f' x{counts[signal]}' if counts[signal] > 1 else ''} {sums[signal]:+.1f}" for signal in ordered]
    rest = sum(sums[signal] for signal in ordered[_NUM_REASONS:])
    more = [f"others {rest:+.1f}"] if len(ordered) > _NUM_REASONS else []
    return ", ".join(shown[:_NUM_REASONS] + more)


def _table(*columns: str, right: Sequence[int] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index in right else "left")
    return table


def _due(case: Json, now: datetime) -> str:
    for name, clock in case["clocks"].items():
        if clock and clock["met_at"] is None and clock["due_at"]:
            due = datetime.fromisoformat(clock["due_at"]) - now
            what = str(name).replace("_", " ")
            return f"{what} in {_span(due)}" if due > timedelta(0) else f"{what} {_span(-due)} late"
    return ""


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


def _signed(value: object) -> str:
    return "-" if value is None else f"{_number(value):+.1f}"


def _number(value: object) -> float:
    return float(str(value)) if value is not None else 0.0


def _value(score: Json) -> float:
    return float(score["value"])


def _interval(kpi: Json) -> str:
    return "-" if kpi["low"] is None else f"{_signed(kpi['low'])} to {_signed(kpi['high'])}"


def _sparks(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    width = (high - low) or 1
    return "".join(_SPARKS[int((value - low) / width * (len(_SPARKS) - 1))] for value in values)
