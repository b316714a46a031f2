"""The log, for pages and the command: how it is set up, and what may not be read in it."""

from connectors.logs import adopt, of_a_child, relay, set_up
from connectors.secrets import mask, masked

__all__ = ["adopt", "mask", "masked", "of_a_child", "relay", "set_up"]
