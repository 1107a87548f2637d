"""Dates and times as a map declares them: formats and time zone, so that 03/04 is never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from itertools import permutations
from zoneinfo import ZoneInfo

from .problems import MapError, RefusedError, shown

RFC_3339 = "rfc3339"
EPOCHS = {"epoch_seconds": 1, "epoch_milliseconds": 1000}
DIRECTIVES = frozenset("aAbBdfHIjmMpSyYz%")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_NUMERAL = re.compile(r"-?\d{1,15}(\.\d{1,9})?")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_DAY_OR_MONTH = re.compile("%d|%m")
_OTHER = {"%d": "%m", "%m": "%d"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Days, months and years that can be taken for one another, in both halves of a day.
_PROBES = tuple(
    datetime(year, month, day, hour, 7, 8, tzinfo=UTC)
    for year, month, day, hour in ((2003, 4, 5, 1), (2011, 12, 10, 13), (2008, 1, 2, 9), (2012, 11, 10, 22))
)


@dataclass(frozen=True)
class Dates:
    """How one column's dates are read.

    Attributes:
        formats: strptime patterns, `rfc3339`, `epoch_seconds` or `epoch_milliseconds`.
        zone: the time zone of values without an offset; None where every format carries one.
        at: the time of day of formats without one.
        fold: which of two equal local times is meant when clocks go back: 0, 1 or None (refuse).
    """

    formats: tuple[str, ...]
    zone: tzinfo | None
    at: time
    fold: int | None

    def read(self, value: object) -> str:
        """Return a cell as an RFC 3339 time in UTC.

        Args:
            value: the cell, text or (from JSON) a number.

        Returns:
            Such as `2018-05-01T20:23:00Z`, with microseconds only where there are any.

        Raises:
            RefusedError: DATE_UNREADABLE, DATE_AMBIGUOUS or LOCAL_TIME_UNCLEAR.
        """
        found = {}
        for form in self.formats:
            parsed = _parsed(str(value), form)
            if parsed is not None:
                found[self._in_utc(parsed, form, value)] = form
        if not found:
            raise RefusedError("DATE_UNREADABLE", self._unreadable(value))
        if len(found) > 1:
            forms = " and ".join(repr(form) for form in found.values())
            raise RefusedError("DATE_AMBIGUOUS", f"{shown(value)} reads as different times by {forms}")
        return _written(next(iter(found)))

    def evidence(self, value: object) -> int:
        """Tell what a cell says about the declared order of day and month.

        Args:
            value: the cell.

        Returns:
            1: it reads only as declared. -1: it reads only with day and month exchanged. 0: it says nothing.
        """
        text = str(value)
        declared = any(_parsed(text, form) for form in self.formats)
        exchanged = any(_parsed(text, form) for form in self.exchanged)
        return int(declared) - int(exchanged)

    @property
    def exchanged(self) -> tuple[str, ...]:
        """The formats that have both day and month as numbers, the two exchanged."""
        both = (form for form in self.formats if "%d" in form and "%m" in form)
        return tuple(_DAY_OR_MONTH.sub(lambda found: _OTHER[found[0]], form) for form in both)

    def _unreadable(self, value: object) -> str:
        wanted = " or ".join(repr(form) for form in self.formats)
        reason = f"{shown(value)} does not read as {wanted}"
        if self.evidence(value) < 0:
            reason += "; it does with day and month exchanged: if the column mixes both, none of its dates is sure"
        return reason

    def _in_utc(self, parsed: datetime, form: str, value: object) -> datetime:
        if not _has_time(form):
            parsed = datetime.combine(parsed.date(), self.at)
        if parsed.tzinfo is not None:
            return _utc(parsed, value)
        first, second = (parsed.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            return _utc(first, value)
        back = _utc(first, value).astimezone(self.zone).replace(tzinfo=None)
        if back != parsed:
            raise RefusedError(
                "LOCAL_TIME_UNCLEAR", f"{shown(value)} does not exist in {self.zone}: clocks went forward"
            )
        if self.fold is None:
            raise RefusedError(
                "LOCAL_TIME_UNCLEAR",
                f"{shown(value)} happens twice in {self.zone}: clocks went back; `when_twice` in the map says which",
            )
        return _utc(second if self.fold else first, value)


def compiled(key: str, spec: Mapping[str, object]) -> Dates:
    """Check a map's declaration of a date column.

    Args:
        key: where in the map the declaration is, for messages.
        spec: its keys `formats`, `timezone`, `time` and `when_twice`.

    Returns:
        The reader of that column.

    Raises:
        MapError: a key is missing, unknown to us, or lets one value be read in two ways.
    """
    formats = spec.get("formats")
    if not isinstance(formats, list) or not formats or not all(isinstance(form, str) for form in formats):
        raise MapError(f"{key}.formats", 'a datetime needs its formats, as formats = ["%d/%m/%Y %H:%M"]')
    for form in formats:
        _check_format(f"{key}.formats", form)
    zone = _zone(f"{key}.timezone", spec.get("timezone"))
    naive = [form for form in formats if not _has_offset(form)]
    if naive and zone is None:
        raise MapError(
            f"{key}.timezone", f'{naive[0]!r} carries no offset: declare one, as timezone = "UTC" or "Europe/London"'
        )
    _check_unambiguous(f"{key}.formats", formats)
    return Dates(tuple(formats), zone, _time_of_day(f"{key}.time", spec.get("time")), _fold(key, spec))


def _check_format(key: str, form: str) -> None:
    if form == RFC_3339 or form in EPOCHS:
        return
    used = set(re.findall(r"%(.)", form))
    if unknown := sorted(used - DIRECTIVES):
        known = " ".join(f"%{directive}" for directive in sorted(DIRECTIVES))
        raise MapError(key, f"{form!r} uses %{unknown[0]}, which is not known here; known are {known}")
    if not used & {"y", "Y"} or not (used & {"j"} or ("d" in used and used & {"m", "b", "B"})):
        raise MapError(key, f"{form!r} names no whole date: it needs year, month and day")
    if "I" in used and "p" not in used:
        raise MapError(key, f"{form!r} has a 12-hour %I without %p: add %p, or use %H")
    if "p" in used and "H" in used:
        raise MapError(key, f"{form!r} mixes the 24-hour %H with %p: use %I with %p")


def _check_unambiguous(key: str, formats: Sequence[str]) -> None:
    patterns = [form for form in formats if "%" in form]
    if len(set(formats)) != len(formats):
        raise MapError(key, "the same format is there twice: keep one")
    if len([form for form in formats if form in EPOCHS]) > 1:
        raise MapError(key, "epoch_seconds and epoch_milliseconds cannot be told apart: keep one")
    for one, other in permutations(patterns, 2):
        for probe in _PROBES:
            text = probe.strftime(one)
            mine, its = _parsed(text, one), _parsed(text, other)
            if mine is not None and its is not None and mine != its:
                raise MapError(key, f"{text!r} reads as different days or times by {one!r} and {other!r}: keep one")


def _zone(key: str, name: object) -> tzinfo | None:
    if name is None:
        return None
    if name == "UTC":
        return UTC
    if not isinstance(name, str):
        raise MapError(key, 'a time zone is a name, as "Europe/London", or an offset, as "+01:00"')
    if match := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise MapError(key, f'{name!r} is no time zone: use a name such as "Europe/London", or "+01:00"') from None


def _time_of_day(key: str, text: object) -> time:
    try:
        return time.fromisoformat(str(text or "00:00"))
    except ValueError:
        raise MapError(key, f'{shown(text)} is no time of day: write it as time = "12:00"') from None


def _fold(key: str, spec: Mapping[str, object]) -> int | None:
    chosen = spec.get("when_twice", "refuse")
    choices = {"refuse": None, "first": 0, "second": 1}
    if not isinstance(chosen, str) or chosen not in choices:
        raise MapError(f"{key}.when_twice", f'{shown(chosen)}: use "refuse", "first" or "second"')
    return choices[chosen]


def _has_time(form: str) -> bool:
    return form == RFC_3339 or form in EPOCHS or bool(re.search("%[HI]", form))


def _has_offset(form: str) -> bool:
    return form == RFC_3339 or form in EPOCHS or "%z" in form


def _parsed(text: str, form: str) -> datetime | None:
    if form == RFC_3339:
        return _from_rfc_3339(text)
    if form in EPOCHS:
        return _from_epoch(text, EPOCHS[form])
    try:
        # Naive where the pattern has no %z: the declared zone is put on afterwards.
        return datetime.strptime(text, form)  # noqa: DTZ007
    except ValueError:
        return None


def _from_rfc_3339(text: str) -> datetime | None:
    if not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def _from_epoch(text: str, units: int) -> datetime | None:
    if not _NUMERAL.fullmatch(text):
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(Decimal(text) * 1_000_000 / units))
    except OverflowError:
        return None


def _utc(moment: datetime, value: object) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise RefusedError("DATE_UNREADABLE", f"{shown(value)} is out of range") from None


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
