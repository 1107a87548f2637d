"""The scoring service's own knobs: none yet, the model's figures are part of the model."""

from libs.common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service has."""
