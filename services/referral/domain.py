"""Every decision about referral programs: values in, values out."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from plaudit.common.v1.money_pb2 import Money
from plaudit.referral.v1.referral_pb2 import (
    AttributionModel,
    Caps,
    Program,
    ProgramState,
    RefundRule,
    Reward,
    RewardKind,
)

DEFAULT_HOLDING_DAYS = 14
DEFAULT_WINDOW_DAYS = 90
MAX_HOLDING_DAYS = 3_650
MAX_WINDOW_DAYS = 3_650
MAX_NAME, MAX_TITLE, MAX_TEXT, MAX_URL, MAX_LANGUAGES = 200, 200, 1_000, 2_048, 64
MAX_MINOR = 2**53 - 1
"""The largest amount that every JSON reader keeps exact."""

Problem = tuple[str, str]
"""The field (RFC 6901), and a sentence that never repeats its value."""


def problem_with(program: Program) -> Problem | None:
    """Return the first thing that is wrong with a program that a partner wants to save, or None."""
    return next(_problems(program), None)


def next_program(before: Program | None, wanted: Program, now: datetime) -> Program:
    """Return the program to store: what is wanted, with its defaults, in the state of the one before.

    Args:
        before: the stored program, if there is one.
        wanted: a program without problems; its read-only fields are ignored.
        now: UTC.

    Returns:
        `before` itself, as it is, where nothing would change.
    """
    program = Program()
    program.CopyFrom(wanted)
    program.refund_rule = program.refund_rule or RefundRule.REFUND_RULE_POLICY
    if not program.HasField("holding_days"):
        program.holding_days = DEFAULT_HOLDING_DAYS
    program.attribution.window_days = program.attribution.window_days or DEFAULT_WINDOW_DAYS
    for name in ("archived_at", "created_at", "updated_at"):
        program.ClearField(name)
    if before is None:
        program.state = ProgramState.PROGRAM_STATE_DRAFT
        program.version = 0
        program.created_at.FromDatetime(now)
    else:
        program.state = before.state
        program.version = before.version
        program.created_at.CopyFrom(before.created_at)
        program.updated_at.CopyFrom(before.updated_at)
        if program == before:
            return before
    program.updated_at.FromDatetime(now)
    return program


def _problems(program: Program) -> Iterator[Problem]:
    if not program.key:
        yield "/key", "a program needs a key"
    if not 1 <= len(program.name.strip()) <= MAX_NAME:
        yield "/name", f"a name has 1 to {MAX_NAME} characters"
    yield from _url_problems(program)
    yield from _share_problems(program)
    yield from _reward_problems(program)
    yield from _money_problems(program)
    yield from _attribution_problems(program)
    yield from _limit_problems(program)


def _url_problems(program: Program) -> Iterator[Problem]:
    urls = {"/destination_url": program.destination_url, "/terms_url": program.terms_url}
    for pointer, url in urls.items():
        if url and not _is_https(url):
            yield pointer, "a URL is absolute, begins with https:// and has no user name in it"


def _is_https(url: str) -> bool:
    if len(url) > MAX_URL or any(character <= " " for character in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc


def _share_problems(program: Program) -> Iterator[Problem]:
    if len(program.share) > MAX_LANGUAGES:
        yield "/share", f"at most {MAX_LANGUAGES} languages"
    for language, share in sorted(program.share.items()):
        if len(share.title) > MAX_TITLE:
            yield f"/share/{language}/title", f"a title has at most {MAX_TITLE} characters"
        if len(share.text) > MAX_TEXT:
            yield f"/share/{language}/text", f"a text has at most {MAX_TEXT} characters"


def _reward_problems(program: Program) -> Iterator[Problem]:
    if not program.HasField("rewards"):
        yield "/rewards", "a program says who gets what"
    for side in ("referrer", "friend"):
        if program.rewards.HasField(side):
            yield from _one_reward_problems(f"/rewards/{side}", getattr(program.rewards, side))


def _one_reward_problems(at: str, reward: Reward) -> Iterator[Problem]:
    if reward.kind == RewardKind.REWARD_KIND_FIXED:
        if not reward.HasField("amount"):
            yield f"{at}/amount", "a fixed reward has an amount"
        if reward.basis_points or reward.HasField("max_amount"):
            yield f"{at}/kind", "basis_points and max_amount go with a percentage"
    elif reward.kind == RewardKind.REWARD_KIND_PERCENTAGE:
        if not 1 <= reward.basis_points <= 10_000:
            yield f"{at}/basis_points", "a percentage has 1 to 10,000 basis points"
        if reward.HasField("amount"):
            yield f"{at}/amount", "an amount goes with a fixed reward"
    else:
        yield f"{at}/kind", "a reward is fixed or a percentage"


def _amounts(program: Program) -> Iterator[tuple[str, Money]]:
    owners = {
        "/rewards/referrer": program.rewards.referrer,
        "/rewards/friend": program.rewards.friend,
        "/conditions": program.conditions,
        "/caps": program.caps,
    }
    for at, owner in owners.items():
        for field, value in owner.ListFields():
            if isinstance(value, Money):
                yield f"{at}/{field.name}", value


def _money_problems(program: Program) -> Iterator[Problem]:
    currencies = set()
    for pointer, money in _amounts(program):
        if not 0 < money.amount_minor <= MAX_MINOR:
            yield f"{pointer}/amount_minor", "an amount is above 0 and at most 2^53 - 1"
        if not (len(money.currency) == 3 and money.currency.isascii() and money.currency.isupper()):
            yield f"{pointer}/currency", "a currency is its three capital letters"
        currencies.add(money.currency)
        if len(currencies) > 1:
            yield f"{pointer}/currency", "a program has one currency"


def _attribution_problems(program: Program) -> Iterator[Problem]:
    if program.attribution.model == AttributionModel.ATTRIBUTION_MODEL_UNSPECIFIED:
        yield "/attribution/model", "attribution names its model"
    if not 0 <= program.attribution.window_days <= MAX_WINDOW_DAYS:
        yield "/attribution/window_days", f"a window has 1 to {MAX_WINDOW_DAYS} days"


def _limit_problems(program: Program) -> Iterator[Problem]:
    if not 0 <= program.holding_days <= MAX_HOLDING_DAYS:
        yield "/holding_days", f"rewards are held 0 to {MAX_HOLDING_DAYS} days"
    if not 0 <= program.holdout_basis_points <= 10_000:
        yield "/holdout_basis_points", "a holdout has 0 to 10,000 basis points"
    yield from _cap_problems(program.caps)
    is_bounded = program.HasField("starts_at") and program.HasField("ends_at")
    if is_bounded and program.ends_at.ToNanoseconds() <= program.starts_at.ToNanoseconds():
        yield "/ends_at", "a program ends after it starts"


def _cap_problems(caps: Caps) -> Iterator[Problem]:
    for name in ("per_referrer", "per_program"):
        if caps.HasField(name) and getattr(caps, name) < 1:
            yield f"/caps/{name}", "a cap is at least 1"
