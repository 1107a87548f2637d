"""What the feedback service does with the others' events: nothing yet."""

from typing import Any

from libs.common.events import Handler

HANDLERS: tuple[Handler[Any], ...] = ()
