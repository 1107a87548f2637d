"""One cell as one value: whole numbers, numbers, booleans, money, lists; exact, and refused rather than guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

from .problems import RefusedError, shown

_EXACT = Context(prec=60, Emax=400, Emin=-400, traps=[Inexact, InvalidOperation, Overflow])
_NUMERAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
_EXPONENT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[eE][+-]?\d{1,3}", re.ASCII)
_INT_64 = 2**63


@dataclass(frozen=True)
class Numerals:
    """How a column writes its numbers.

    Attributes:
        decimal_separator: "." or ",".
        thousands_separator: what groups digits by three, or "" for none.
        without: texts that are taken away first, such as a currency sign.
        multiply: declared change of scale, applied before `add`.
        add: declared shift.
    """

    decimal_separator: str = "."
    thousands_separator: str = ""
    without: tuple[str, ...] = ()
    multiply: Decimal = Decimal(1)
    add: Decimal = Decimal(0)

    def read(self, value: object, *, exponent: bool = False) -> Decimal:
        """Return a cell as an exact number.

        Args:
            value: the cell, text or (from JSON) a number.
            exponent: whether `1.2e3` is a number here; in a whole number it is a sign of a damaged export.

        Returns:
            The number after the declared scale.

        Raises:
            RefusedError: NOT_A_NUMBER.
        """
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise RefusedError("NOT_A_NUMBER", f"{shown(value)} is not a number")
        text = self._plain(value) if isinstance(value, str) else str(value)
        if not (_NUMERAL.fullmatch(text) or (exponent and _EXPONENT.fullmatch(text))):
            raise RefusedError("NOT_A_NUMBER", f"{shown(value)} is not a number as the map declares it")
        try:
            return _EXACT.add(_EXACT.multiply(_EXACT.create_decimal(text), self.multiply), self.add)
        except ArithmeticError:
            raise RefusedError("NOT_A_NUMBER", f"{shown(value)} has more digits than can be kept exactly") from None

    def _plain(self, text: str) -> str:
        for part in self.without:
            text = text.replace(part, "")
        text = text.strip()
        if self.thousands_separator and self.thousands_separator in text:
            whole, separator, fraction = text.partition(self.decimal_separator)
            groups = whole.split(self.thousands_separator)
            if any(len(group) != 3 for group in groups[1:]) or not 1 <= len(groups[0].lstrip("+-")) <= 3:
                raise RefusedError("NOT_A_NUMBER", f"{shown(text)} is not grouped by thousands as the map declares it")
            text = "".join(groups) + separator + fraction
        if self.decimal_separator != ".":
            if "." in text:
                raise RefusedError("NOT_A_NUMBER", f"{shown(text)} is not a number as the map declares it")
            text = text.replace(self.decimal_separator, ".")
        return text


@dataclass(frozen=True)
class Money:
    """How a column writes amounts.

    Attributes:
        numerals: how its numbers are written.
        decimals: digits after the separator that make one minor unit; 0 where the column is in minor units already.
    """

    numerals: Numerals
    decimals: int

    def read(self, value: object) -> int:
        """Return a cell as minor units, exactly.

        Args:
            value: the cell.

        Returns:
            Minor units.

        Raises:
            RefusedError: NOT_A_NUMBER or NOT_WHOLE_MINOR_UNITS.
        """
        amount = self.numerals.read(value).scaleb(self.decimals, _EXACT)
        if amount != amount.to_integral_value():
            raise RefusedError(
                "NOT_WHOLE_MINOR_UNITS",
                f"{shown(value)} has more than the {self.decimals} decimals that the map declares",
            )
        return _whole(amount, value)


def read_int(numerals: Numerals, value: object) -> int:
    """Return a cell as a whole number; `4.0` is one, `4.5` and `4e0` are not."""
    number = numerals.read(value)
    if number != number.to_integral_value():
        raise RefusedError("NOT_WHOLE", f"{shown(value)} is not a whole number")
    return _whole(number, value)


def read_number(numerals: Numerals, value: object) -> int | float:
    """Return a cell as a number; whole ones stay whole."""
    number = numerals.read(value, exponent=True)
    if number == number.to_integral_value() and abs(number) < _INT_64:
        return int(number)
    return float(number)


def read_bool(value: object) -> bool:
    """Return a cell as true or false; other words need `values` in the map."""
    if isinstance(value, bool):
        return value
    found = {"true": True, "false": False}.get(str(value).lower())
    if found is None:
        raise RefusedError(
            "NOT_TRUE_OR_FALSE", f"{shown(value)} is not true or false; `values` in the map can say which"
        )
    return found


def read_string(value: object) -> str:
    """Return a cell as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise RefusedError("NOT_TEXT", "a list or an object is not text")


def read_list(separator: str, value: object) -> list[str]:
    """Return a cell as a list of texts: split at the separator, or a JSON list as it is."""
    parts = value if isinstance(value, list) else read_string(value).split(separator)
    texts = (read_string(part).strip() for part in parts)
    return [text for text in texts if text]


def _whole(number: Decimal, value: object) -> int:
    whole = int(number)
    if not -_INT_64 <= whole < _INT_64:
        raise RefusedError("NOT_A_NUMBER", f"{shown(value)} is out of range")
    return whole
