"""settings.yml: the settings of a project folder, or every problem of the file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from connectors.buckets import S3Access
from connectors.errors import Problem, SettingsError
from connectors.secrets import NAMED, hide, hide_address, hide_named
from connectors.settings import Settings, environment, expand_secrets
from connectors.warehouse.engines.opening import refuse_unopened
from connectors.warehouse.lake.opening import refuse_no_lake
from connectors.webhooks import address_problem, secret_problem
from metrics.catalog.document import Document, read_document, validated

SENT_TO = ("contact_points", "webhooks")
AS_VARIABLE = "Write it as ${NAME} and set that in the environment: files are read, copied and committed."
NO_LAKE = {"lake": "", "lake_access": S3Access()}


def read_settings(path: Path, shown_as: str) -> tuple[Settings, list[Problem]]:
    """settings.yml, or default settings and every problem it has."""
    if not path.exists():
        return Settings(), []
    document, problems = read_document(path, shown_as=shown_as)
    if problems or document.data is None:
        return Settings(), problems
    try:
        # Addresses that something is sent to are filled in then: who writes a KPI need not know their keys.
        plain = dict(document.data) if isinstance(document.data, Mapping) else {}
        kept = {key: plain.pop(key) for key in SENT_TO if key in plain}
        plain = {**expand_secrets(plain, environment(), where=shown_as), **kept} if plain or kept else document.data
    except SettingsError as error:
        return Settings(), [document.problem((), error.code, error.message, error.hint)]
    if isinstance(plain, Mapping) and isinstance(access := plain.get("lake_access"), Mapping):
        for key in ("access_key", "secret_key"):  # before anybody says what is wrong with them
            hide(str(access.get(key, "")))
    of_webhooks = _of_webhooks(document, plain.get("webhooks") if isinstance(plain, Mapping) else None)
    settings, problems = validated(document, Settings, data=plain)
    settings, problems = settings or Settings(), [*problems, *of_webhooks]
    if settings.engine:
        try:
            refuse_unopened(settings.engine, lake=bool(settings.lake))
        except SettingsError as error:  # which has no more of the URL than its scheme
            hint = f"{error.hint} Or write `warehouse: duckdb`, or leave it out: then rows are loaded here."
            problems.append(document.problem(("warehouse",), "not_allowed", error.message, hint))
            settings = settings.model_copy(update={"warehouse": "", **NO_LAKE})
    if settings.lake or settings.lake_access != S3Access():
        try:
            _refuse_no_lake(settings)
        except SettingsError as error:
            key = "lake" if settings.lake else "lake_access"
            problems.append(document.problem((key,), "not_allowed", error.message, error.hint))
            settings = settings.model_copy(update=NO_LAKE)
    hide_address(settings.state)
    hide_address(settings.warehouse)
    for point in settings.contact_points:
        hide_address(point.url, keys_in_path=True)
        hide_named(point.url, environment())
    return settings, problems


def _of_webhooks(document: Document, said: Any) -> list[Problem]:
    """What is wrong with what ${NAME} of webhooks stand for, where they are set; a warning of a secret written out.

    All of it is hidden first, before anybody says what is wrong.
    """
    found = []
    for index, hook in enumerate(said if isinstance(said, list) else ()):
        for key, problem_of in (("url", address_problem), ("secret", secret_problem)):
            text, at = str(hook.get(key, "")) if isinstance(hook, Mapping) else "", ("webhooks", index, key)
            hide_address(text, keys_in_path=True)
            hide_named(text, environment())
            if not NAMED.search(text):
                if key == "secret" and text:
                    hide(text)
                    found.append(document.problem(at, "secret", "the secret is written out", AS_VARIABLE, "warning"))
                continue
            with suppress(SettingsError):  # not set here: whoever writes a KPI need not know it
                if problem := problem_of(expand_secrets(text, environment(), where=document.file)):
                    hint = "Until that is mended nothing is sent there; what happens meanwhile is kept for three days."
                    found.append(document.problem(at, "wrong_value", f"{text}: {problem}", hint, "warning"))
    return found


def _refuse_no_lake(settings: Settings) -> None:
    """Raises SettingsError for a lake that cannot be one."""
    if settings.lake and not settings.engine:
        hint = "Add `warehouse`, such as sc://host:15002; or remove `lake`: DuckDB computes from its own tables."
        raise SettingsError("a lake is for an engine to compute from, and `warehouse` names none", hint=hint)
    refuse_no_lake(settings.lake, settings.lake_access)
