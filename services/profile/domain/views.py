"""What the 360 view says of a customer: the stage of life and the Net Promoter category."""

from datetime import datetime, timedelta

from plaudit.profile.v1.profile_pb2 import LifecycleStage

from .activities import Facts

_NEW = timedelta(days=90)
_ACTIVE = timedelta(days=180)
_QUIET = timedelta(days=365)


def stage_of(acquired_at: datetime | None, facts: Facts, now: datetime) -> LifecycleStage.ValueType:
    """Return the stage of life.

    A lead has no `acquired_at`, purchase, visit or subscription. Churned: the latest step of a subscription is a
    cancellation, and no purchase or visit came since. Otherwise new for 90 days from the first of these, then by the
    time since the latest purchase, visit, renewal or usage (the beginning, where there is none): active up to 180 days,
    quiet up to 365, lapsed beyond. Source: own definition.

    Args:
        acquired_at: when the partner says that the customer was won, UTC.
        facts: what the activities say.
        now: the time of reading, UTC.
    """
    starts = [at for at in (acquired_at, facts.first_at) if at]
    if not starts:
        return LifecycleStage.LIFECYCLE_STAGE_LEAD
    first = min(starts)
    if facts.is_cancelled and facts.subscription_at:
        bought_since = facts.bought_at is not None and facts.bought_at > facts.subscription_at
        if not bought_since:
            return LifecycleStage.LIFECYCLE_STAGE_CHURNED
    if now - first <= _NEW:
        return LifecycleStage.LIFECYCLE_STAGE_NEW
    silent = now - max(filter(None, (first, facts.last_at)))
    if silent <= _ACTIVE:
        return LifecycleStage.LIFECYCLE_STAGE_ACTIVE
    return LifecycleStage.LIFECYCLE_STAGE_QUIET if silent <= _QUIET else LifecycleStage.LIFECYCLE_STAGE_LAPSED


def category_of(score: int) -> str:
    """Sort one answer into its Net Promoter category.

    Args:
        score: likelihood to recommend, 0 to 10 inclusive.

    Returns:
        "detractor" (0-6), "passive" (7-8) or "promoter" (9-10).

    Source: Reichheld, "The One Number You Need to Grow", HBR, December 2003.
    """
    if score <= 6:
        return "detractor"
    return "passive" if score <= 8 else "promoter"
