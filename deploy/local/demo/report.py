"""The demo's report on the terminal: NPS with its interval, who waits longest, the lowest and the highest scores."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from textwrap import shorten, wrap

from .api import Api, Json
from .cases import CLOSED

NUM_CASES = 6
_NUM_CUSTOMERS = 3
_NUM_REASONS = 4
_WIDTH = 80
_SPARKS = "▁▂▃▄▅▆▇█"


def report(api: Api, now: datetime, names: Mapping[str, str], scores: Sequence[Json]) -> Iterator[str]:
    """Yield the report's lines, at most 80 columns wide.

    Args:
        api: of the tenant.
        now: the time of the stack, UTC.
        names: of the customers, by id.
        scores: of all customers, `customer_id` in each.
    """
    yield f"── A simulated field-service company, one year to {now:%d %B %Y} ".ljust(_WIDTH, "─")
    yield from _nps(api)
    yield from _cases(api, now, names)
    yield from _extremes(names, scores)


def _nps(api: Api) -> Iterator[str]:
    whole = api.get("/v1/kpis/nps", interval="month")
    yield f"\nNPS {_signed(whole['value'])}   95 % interval {_interval(whole)}, {whole['n']:,} answers\n"
    series = [point for point in whole["series"] if point["n"]]
    if series:
        first, last = series[0], series[-1]
        line = _sparks([float(point["value"]) for point in series])
        ends = (f"{str(point['from'])[:7]} {_signed(point['value'])}" for point in (first, last))
        yield "  by month   " + f"  {line}  ".join(ends) + "\n"
    yield f"  {'by moment':<26}{'answers':>8}{'NPS':>9}     95 % interval"
    groups = sorted(api.get("/v1/kpis/nps", by="moment")["groups"], key=lambda group: _number(group["value"]))
    for group in groups:
        key = shorten(group["key"] or "none (the company as such)", 26, placeholder="…")
        yield f"  {key:<26}{group['n']:>8,}{_signed(group['value']):>9}     {_interval(group)}"


def _cases(api: Api, now: datetime, names: Mapping[str, str]) -> Iterator[str]:
    cases = list(api.all("/v1/cases"))
    waiting = sorted((case for case in cases if case["state"] not in CLOSED), key=lambda case: str(case["opened_at"]))
    num_overdue = sum(any(clock["breached"] for clock in _running(case).values()) for case in waiting)
    num_closed = len(cases) - len(waiting)
    yield f"\nCases: {len(waiting)} open, {num_overdue} of them overdue; {num_closed} closed. Who waits longest:\n"
    for case in waiting[:NUM_CASES]:
        waits = _span(now - datetime.fromisoformat(case["opened_at"]))
        yield f"  {waits:>5}  {_named(names, case['customer_id'])}"
        yield from _hanging(f"{case['state'].replace('_', ' ')}: {_due(case, now)}", 9)
        answer = api.get(f"/v1/responses/{case['triggers'][-1]['id']}")
        said = f', "{answer["verbatim"]}"' if answer["verbatim"] else ""
        yield from _hanging(f"{str(answer['metric']).upper()} {answer['score']}{said}", 9)
    if len(waiting) > NUM_CASES:
        yield f"         and {len(waiting) - NUM_CASES} more"


def _extremes(names: Mapping[str, str], scores: Sequence[Json]) -> Iterator[str]:
    valued = sorted((score for score in scores if score["value"] is not None), key=_value)
    lowest, highest = valued[:_NUM_CUSTOMERS], valued[: -_NUM_CUSTOMERS - 1 : -1]
    for title, chosen in (("Lowest", lowest), ("Highest", highest)):
        yield f"\n{title} scores, and where they come from:\n"
        for score in chosen:
            rung = f" ({score['rung']})" if score["rung"] else ""
            yield f"  {_value(score):>5.1f}  {_named(names, score['customer_id'])}{rung}"
            yield from _hanging(reasons(score["evidence"]), 9)


def _hanging(text: str, indent: int) -> Iterator[str]:
    yield from wrap(text, _WIDTH, initial_indent=" " * indent, subsequent_indent=" " * indent)


def _named(names: Mapping[str, str], customer_id: object) -> str:
    return f"{names.get(str(customer_id), 'unknown')} ({customer_id})"


def reasons(evidence: Iterable[Json]) -> str:
    """Return the evidence summed by signal, base first, then the weightiest; the limits of 0 and 100 last.

    Args:
        evidence: a score's items.

    Returns:
        Such as `base +50.0, nps.detractor -24.2, service_visit.completed x4 +5.3`.
    """
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for item in evidence:
        sums[str(item["signal"])] += float(item["contribution"])
        counts[str(item["signal"])] += 1
    signals = sorted(sums.keys() - {"base", "clamp"}, key=lambda signal: (-abs(sums[signal]), signal))
    rest = sum(sums[signal] for signal in signals[_NUM_REASONS:])
    parts = [f"{name} {sums[name]:+.1f}" for name in ("base",) if name in sums]
    for signal in signals[:_NUM_REASONS]:
        times = f" x{counts[signal]}" if counts[signal] > 1 else ""
        parts.append(f"{signal}{times} {sums[signal]:+.1f}")
    parts += [f"others {rest:+.1f}"] if len(signals) > _NUM_REASONS else []
    parts += [f"clamp {sums['clamp']:+.1f}"] if sums.get("clamp") else []
    return ", ".join(parts)


def _running(case: Json) -> dict[str, Json]:
    """Return a case's clocks that nobody has met yet, by name."""
    clocks: dict[str, Json] = case["clocks"]
    return {name: clock for name, clock in clocks.items() if clock["met_at"] is None and clock["due_at"]}


def _due(case: Json, now: datetime) -> str:
    """Return how a case's unmet clocks stand."""
    parts = []
    for name, clock in _running(case).items():
        due = datetime.fromisoformat(clock["due_at"]) - now
        when = f"in {_span(due)}" if due > timedelta(0) else f"{_span(-due)} late"
        parts.append(f"{name.replace('_', ' ')} {when}")
    return ", ".join(parts) or "no clock runs"


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
