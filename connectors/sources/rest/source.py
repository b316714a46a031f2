"""Base of the sources that ask an API."""

from __future__ import annotations

import shutil

from connectors.sources.contract import Source
from connectors.sources.rest.auth import Place


class RestSource(Source):
    """A source over HTTP. A pull that was answered tells up to when the data is complete."""

    watermark = "sync"

    @property
    def where(self) -> str:
        """Who is told wrong."""
        return f"source {self.options.name}"

    @property
    def place(self) -> Place:
        """What its client and its keys need to know of the project."""
        return Place(self.where, self.folder, self.allow)

    def loaded(self) -> None:
        """Files of windows that waited (windows.py) are in the warehouse: they go."""
        if self.kept is not None:
            shutil.rmtree(self.kept, ignore_errors=True)
