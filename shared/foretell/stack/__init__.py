"""Broker, worker and server on one machine, with their state in one folder: `Stack`."""

from foretell.stack.folder import StateFolder
from foretell.stack.news import News
from foretell.stack.running import Stack

__all__ = ["News", "Stack", "StateFolder"]
