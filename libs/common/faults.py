"""Failpoints: named places where a test can make a process die, stop, wait or fail at the n-th passage."""

import os
import signal
import time

POINTS = frozenset(
    """gateway.before_rpc gateway.after_rpc_before_reply svc.before_commit svc.after_commit_before_reply
    relay.after_select relay.after_publish_before_mark relay.after_mark_before_commit consumer.after_fetch
    consumer.after_inbox consumer.before_commit consumer.after_commit_before_ack consumer.after_ack
    timer.before_commit migrate.mid""".split()  # noqa: SIM905 - one a line would fill the screen
)

FAULTS: dict[str, tuple[str, int]] = {}
"""Armed points: name to (action, passages left). Empty in production."""


class FaultError(Exception):
    """What the action `raise` raises."""


def arm(spec: str) -> None:
    """Arm points from text such as `relay.after_select:kill9@7,svc.before_commit:raise`.

    Args:
        spec: comma-separated `<point>:<action>[@<n>]`; the action happens at the n-th passage, first by default.
            Actions: kill9, stop (SIGSTOP), raise, and sleep<seconds>, which happens at every passage from the n-th on.
    """
    FAULTS.clear()
    for part in filter(None, spec.split(",")):
        name, _, rest = part.partition(":")
        action, _, count = rest.partition("@")
        if name not in POINTS:
            message = f"unknown failpoint {name}"
            raise ValueError(message)
        FAULTS[name] = (action, int(count or 1))


def hit(name: str) -> None:
    """Pass a point; a no-op unless it is armed. Callers on a hot path test `if faults.FAULTS:` first."""
    if name not in FAULTS:
        return
    action, left = FAULTS[name]
    if left > 1:
        FAULTS[name] = (action, left - 1)
        return
    if action.startswith("sleep"):
        time.sleep(float(action.removeprefix("sleep")))
        return
    del FAULTS[name]
    if action == "kill9":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        raise FaultError(name)
