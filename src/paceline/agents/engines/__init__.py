"""Where agents live: processes of this machine, a Ray cluster, ranks that torchrun started."""

from paceline.agents.engines._life import live

__all__ = ["live"]
