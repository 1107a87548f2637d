"""What other services' events mean for referrals: nothing yet."""

from typing import Any

from libs.common.events import Handler

HANDLERS: tuple[Handler[Any], ...] = ()
