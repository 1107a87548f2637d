"""JSON bytes to checked structs: one strict decoder for every body, line and query of the API."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from ..problems import Fault, Problem, invalid, malformed
from .fields import UNSET, Checked
from .rules import Refused, Rule, label

S = TypeVar("S", bound=Struct)

MAX_DEPTH = 64
MAX_ITEM_BYTES = 32 * 1024


def decode(body: bytes | msgspec.Raw, shape: type[S]) -> S:
    """Read one JSON object as a checked struct.

    Raises:
        Problem: 400 JSON_INVALID where it is not JSON, 422 with pointers where it is not of the shape.
    """
    try:
        value: S = _decoder(shape).decode(body)
        checker(shape)(value)
    except Refused as refused:
        raise invalid(refused.faults) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _problem(error, bytes(body), "/") from None
    return value


def query(params: Mapping[str, str], shape: type[S]) -> S:
    """Read a query string's parameters as a checked struct; pointers are `?name`."""
    try:
        value = msgspec.convert(dict(params), shape, strict=False)
        checker(shape)(value)
    except Refused as refused:
        raise invalid([Fault("?" + f.pointer.lstrip("/"), f.code, f.detail) for f in refused.faults]) from None
    except msgspec.ValidationError as error:
        raise _problem(error, b"", "?") from None
    return value


def item(raw: msgspec.Raw, shape: type[S]) -> S:
    """Read one item of a batch, at most 32 KiB of JSON."""
    if memoryview(raw).nbytes > MAX_ITEM_BYTES:
        detail = "an item has at most 32 KiB of JSON"
        raise invalid([Fault("", "ITEM_TOO_LARGE", detail)])
    return decode(raw, shape)


def items_of(body: bytes) -> tuple[list[msgspec.Raw], bytes] | None:
    """Cut a batch that `decode` could not: one item holds a lone surrogate, which JSON's grammar allows.

    Returns:
        The items as JSON, and the body with none; None where the body is no JSON or has no items.
    """
    if not is_json(body, strict=False):
        return None
    value = json.loads(body)
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        return None
    return [msgspec.Raw(json.dumps(item).encode()) for item in items], json.dumps({**value, "items": []}).encode()


@cache
def _decoder(shape: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(shape)


# What msgspec says, without the parts that repeat the input.
_PATH = re.compile(r"(?s)^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$")
_STEP = re.compile(r"\[(\d+)\]|\.([^.\[]+)")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `(.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `([a-z0-9_ |]+)`(?:, got `([a-z]+)`)?\Z")
_SAFE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z").match
_SENTENCES = (
    ("Expected `datetime` with a timezone", "OFFSET_MISSING", "a time needs its offset from UTC, such as Z or +02:00"),
    ("Invalid RFC3339", "TIME_INVALID", "a time is written as RFC 3339, such as 2026-01-31T09:30:00Z"),
    ("Invalid enum value", "VALUE_INVALID", "not one of the values that this field takes"),
    ("Integer value out of range", "OUT_OF_RANGE", "the number is out of range"),
    ("Number out of range", "OUT_OF_RANGE", "the number is out of range"),
    ("Expected `object` of length", "OUT_OF_RANGE", "the object has the wrong size"),
)


def _problem(error: Exception, body: bytes, root: str) -> Problem:
    if not isinstance(error, msgspec.ValidationError):
        return malformed("the body is not JSON in UTF-8")
    # A wrong shape is found before the whole body is read: what is no JSON at all is said to be that.
    if body and not is_json(body):
        return malformed("the body is not JSON in UTF-8, or is nested more than 64 levels deep")
    found = _PATH.match(str(error))
    what, path = (found["what"], found["path"] or "") if found else ("", "")
    pointer = "".join("/" + (index or name) for index, name in _STEP.findall(path.partition("[...]")[0]))
    if field := _FIELD.match(what):
        known = _SAFE_NAME(field[2])
        pointer += f"/{field[2]}" if known else ""
        fault = (
            Fault(pointer, "FIELD_REQUIRED", "this field is required")
            if field[1].startswith("missing")
            else Fault(pointer, "FIELD_UNKNOWN", "there is no such field here")
        )
    else:
        fault = Fault(pointer, *_said(what))
    if root == "?":
        fault = Fault("?" + fault.pointer.lstrip("/"), fault.code, fault.detail)
    return invalid([fault])


def _said(what: str) -> tuple[str, str]:
    for start, code, detail in _SENTENCES:
        if what.startswith(start):
            return code, detail
    if expected := _EXPECTED.match(what):
        got = f", not {expected[2]}" if expected[2] else ""
        return "TYPE_INVALID", f"must be {expected[1].replace(' | ', ' or ')}{got}"
    return "VALUE_INVALID", "not a value that this field takes"


# One that is never closed reaches to the end: with every quote in it tried as a beginning, time would grow as a square.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(rb"[\[{]+|[\]}]+")


def is_json(body: bytes, *, strict: bool = True) -> bool:
    """Say whether bytes are one JSON text of at most 64 levels. Slow; for what is refused already.

    Args:
        body: what was sent.
        strict: false lets lone surrogates pass, which JSON's grammar allows and Unicode does not.
    """
    depth = 0
    for run in _BRACKETS.finditer(_STRINGS.sub(b"", body)):
        depth += len(run[0]) if run[0][0] in b"[{" else -len(run[0])
        if depth > MAX_DEPTH:
            return False
    try:
        if strict:
            msgspec.json.decode(body)
        else:
            json.loads(body.decode(), parse_constant=_no_constant)
    except msgspec.ValidationError:
        return True
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(name)


# Checking: what msgspec's types cannot say. A plan is made once per struct type.
_plain_text = label(1_000)


@cache
def checker(shape: type[Struct]) -> Callable[[Any], None]:
    """Return the function that applies every field's rule to a struct, in place."""
    hints = get_type_hints(shape, include_extras=True)
    plan = []
    for field in msgspec.structs.fields(shape):
        rule = rule_of(hints[field.name])
        if rule is not None:
            plan.append((field.name, field.encode_name, rule))

    def check(struct: Any) -> None:
        try:
            for name, _, rule in plan:
                value = getattr(struct, name)
                if value is not None and value is not UNSET:
                    checked = rule(value)
                    if checked is not value:
                        setattr(struct, name, checked)
        except Refused:
            raise Refused(_all_faults(struct, plan)) from None

    return check


def _all_faults(struct: Any, plan: list[tuple[str, str, Rule]]) -> list[Fault]:
    faults = []
    for name, written, rule in plan:
        value = getattr(struct, name)
        if value is None or value is UNSET:
            continue
        try:
            rule(value)
        except Refused as refused:
            faults += [fault.under(f"/{written}") for fault in refused.faults]
    return faults


def rule_of(hint: Any) -> Rule | None:
    """Return the rule of a type: the annotated one, a nested struct's, or that of any text without one."""
    kind = get_origin(hint)
    if kind is Annotated:
        named = [extra.rule for extra in hint.__metadata__ if isinstance(extra, Checked)]
        return named[0] if named else rule_of(get_args(hint)[0])
    if hint is str:
        return _plain_text
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _nested(hint)
    if kind is list:
        return _each(rule_of(get_args(hint)[0]))
    if kind is Union or str(kind) == "<class 'types.UnionType'>":
        found = [rule for rule in map(rule_of, get_args(hint)) if rule is not None]
        return found[0] if found else None
    return None


def _nested(shape: type[Struct]) -> Rule:
    check = checker(shape)

    def apply(value: Any) -> Any:
        check(value)
        return value

    return apply


def _each(rule: Rule | None) -> Rule | None:
    if rule is None:
        return None

    def apply(values: list[Any]) -> list[Any]:
        for index, value in enumerate(values):
            try:
                values[index] = rule(value)
            except Refused as refused:
                raise Refused([fault.under(f"/{index}") for fault in refused.faults]) from None
        return values

    return apply
