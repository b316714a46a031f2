"""settings.yml: the settings of a project folder, or every problem of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from connectors.errors import Problem, SettingsError
from connectors.secrets import hide_address, hide_named
from connectors.settings import Settings, environment, expand_secrets
from connectors.warehouse.engines.opening import refuse_unopened
from metrics.catalog.document import read_document, validated


def read_settings(path: Path, shown_as: str) -> tuple[Settings, list[Problem]]:
    """settings.yml, or default settings and every problem it has."""
    if not path.exists():
        return Settings(), []
    document, problems = read_document(path, shown_as=shown_as)
    if problems or document.data is None:
        return Settings(), problems
    try:
        # Addresses of contact points are filled in when something is sent: who writes a KPI need not know their keys.
        plain = dict(document.data) if isinstance(document.data, Mapping) else {}
        kept = {key: plain.pop(key) for key in ("contact_points",) if key in plain}
        plain = {**expand_secrets(plain, environment(), where=shown_as), **kept} if plain or kept else document.data
    except SettingsError as error:
        return Settings(), [document.problem((), error.code, error.message, error.hint)]
    settings, problems = validated(document, Settings, data=plain)
    settings = settings or Settings()
    if settings.engine:
        try:
            refuse_unopened(settings.engine)
        except SettingsError as error:  # which has no more of the URL than its scheme
            hint = f"{error.hint} Or write `warehouse: duckdb`, or leave it out: then rows are loaded here."
            problems.append(document.problem(("warehouse",), "not_allowed", error.message, hint))
            settings = settings.model_copy(update={"warehouse": ""})
    hide_address(settings.state)
    hide_address(settings.warehouse)
    for point in settings.contact_points:
        hide_address(point.url, keys_in_path=True)
        hide_named(point.url, environment())
    return settings, problems
