"""What an API key looks like: `pl_live_` or `pl_test_`, an id, a secret, and a checksum against typing errors."""

import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_VALUES = {ord(digit): value for value, digit in enumerate(_DIGITS)}
_ID_LENGTH, _SECRET_LENGTH, _CHECK_LENGTH = 8, 43, 6
_KEY = re.compile(rb"(pl_(live|test)_([0-9A-Za-z]{8})([0-9A-Za-z]{43}))([0-9A-Za-z]{6})\Z").match


@dataclass(frozen=True, slots=True)
class Presented:
    """A well-formed key, not yet known to be a real one."""

    key_id: str
    secret: bytes
    live: bool


def _check_of(text: bytes) -> str:
    number = zlib.crc32(text)
    digits = ""
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


def _number_of(digits: bytes) -> int:
    number = 0
    for digit in digits:
        number = number * 62 + _VALUES[digit]
    return number


def parse(key: bytes) -> Presented | None:
    """Read a key; None where it is not one, or its checksum is wrong."""
    found = _KEY(key)
    if not found or zlib.crc32(found[1]) != _number_of(found[5]):
        return None
    return Presented(found[3].decode(), found[4], found[2] == b"live")


def new_id() -> str:
    """Return a new key's id, which is no secret."""
    return "".join(secrets.choice(_DIGITS) for _ in range(_ID_LENGTH))


def assemble(key_id: str, chance: bytes, *, live: bool) -> tuple[str, bytes]:
    """Write a key out of its id and at least 40 bytes of chance; return (key, secret)."""
    number = int.from_bytes(chance, "big")
    secret = ""
    for _ in range(_SECRET_LENGTH):
        number, digit = divmod(number, 62)
        secret += _DIGITS[digit]
    text = f"pl_{'live' if live else 'test'}_{key_id}{secret}"
    return text + _check_of(text.encode()), secret.encode()


def generate(*, live: bool) -> tuple[str, str, bytes]:
    """Make a key; return (key, key id, secret). The secret has 256 bits of chance."""
    key_id = new_id()
    key, secret = assemble(key_id, secrets.token_bytes(64), live=live)
    return key, key_id, secret


def digest_of(pepper: bytes, secret: bytes) -> bytes:
    """Return what is stored in a secret's place. The secret is pure chance: no slow hash is needed."""
    return hmac.digest(pepper, secret, "sha256")
