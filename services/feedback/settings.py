"""The feedback service's own knobs: none yet."""

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service has."""
