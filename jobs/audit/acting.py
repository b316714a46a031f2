"""By which way, as whom and in which role this process acts, for pages and the command to say. Loads nothing."""

from connectors.state.acting import begin, in_role

__all__ = ["begin", "in_role"]
