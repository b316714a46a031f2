"""Which module each verb is in: a run loads that of its own verb, and looks at the options of no other."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

# Module of cli/ → its verbs, in the order that the help lists them; one alone, called like its module, is a group.
MODULES = {
    "authoring": ("init", "validate", "check", "diff", "add"),
    "sync": ("sync", "demo"),
    "query": ("query", "list"),
    "operations": ("run", "status", "sources", "backup", "restore", "upgrade", "doctor", "schedule"),
    "alerts": ("alerts",),
    "launch": ("launch",),
    "snapshot": ("snapshot",),
    "access": ("whoami", "access"),
    "token": ("token",),
    "scheduler": ("scheduler", "due"),
    "audit": ("audit",),
}


class Verbs(TyperGroup):
    """The verbs of the command, each loaded when it is asked for."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One verb. Of an unknown name all are loaded: the nearest is told."""
        if cmd_name not in self.commands:
            for module in [m for m, verbs in MODULES.items() if cmd_name in verbs] or MODULES:
                self._load(module)
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all, in the order of MODULES."""
        for module in MODULES:
            self._load(module)
        order = [verb for verbs in MODULES.values() for verb in verbs]
        return sorted(super().list_commands(ctx), key=order.index)

    def _load(self, module: str) -> None:
        within = typer.Typer(rich_markup_mode=None)
        within.add_typer(import_module(f"cli.{module}").app, name=module if MODULES[module] == (module,) else None)
        self.commands.update(get_group(within).commands)
