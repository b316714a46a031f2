"""sources.yml: every configured source, or every problem of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.errors import Problem, SettingsError, UnknownName
from connectors.reading import mark_of
from connectors.secrets import hide_address
from connectors.settings import environment, expand_secrets
from connectors.sources.contract import Source, source_type
from metrics.catalog.document import Document, parse_document, read_document, validated

PASSWORD = re.compile(r"://[^/@\s]*:(?!\$\{)[^@\s]+@")  # one that is written out


class SourcesFile:
    """The file of one project folder. data: the folder that ${KPI_DATA} stands for.

    elsewhere: whether `warehouse` of the settings names an engine that has the rows: then no source may be in it.
    allow: `outbound_hosts` of the settings.
    """

    def __init__(
        self, folder: Path, data: Path, shown_as: str, *, elsewhere: bool = False, allow: tuple[str, ...]
    ) -> None:
        self._allow = allow
        self._folder, self._data, self._shown_as, self._elsewhere = folder, data, shown_as, elsewhere
        self._by_table: tuple[tuple[int, ...], dict[str, str]] | None = None

    @property
    def path(self) -> Path:
        """Where it is, whether or not it is there."""
        return self._folder / "sources.yml"

    def all(self) -> dict[str, Source]:
        """Every configured source by name. Raises SettingsError with all problems of the file."""
        sources, problems = self.read()
        errors = [problem for problem in problems if problem.level == "error"]
        if errors:
            raise SettingsError("sources.yml cannot be used", hint="\n".join(map(str, errors)))
        return sources

    def read(self) -> tuple[dict[str, Source], list[Problem]]:
        """Sources that are well-formed, and every problem of the file."""
        if not self.path.exists():
            return {}, []
        document, problems = read_document(self.path, shown_as=f"{self._shown_as}sources.yml")
        return self._of(document, problems)

    def parsed(self, text: str) -> tuple[dict[str, Source], list[Problem]]:
        """As `read`, of a text that is not in the file yet."""
        return self._of(*parse_document(text, shown_as=f"{self._shown_as}sources.yml"))

    def _of(self, document: Document, problems: list[Problem]) -> tuple[dict[str, Source], list[Problem]]:
        if problems:
            return {}, problems
        if document.data is not None and not isinstance(document.data, list):
            return {}, [document.problem((), "shape", "must be a list of sources", "Start each with `- name:`.")]
        if document.data and self._elsewhere:
            text = "nothing is pulled where `warehouse` of settings.yml names an engine: its tables are there already"
            hint = "Remove the entries and name its tables in datasets/*.yml (`source`, `sql`), or remove `warehouse`."
            return {}, [document.problem((0,), "not_allowed", text, hint)]
        sources: dict[str, Source] = {}
        fed: dict[str, str] = {}
        for index, item in enumerate(document.data or []):
            source, bad = self._source(document, index, item)
            if source is not None:
                name, table = source.options.name, source.options.table
                if name in sources:
                    bad.append(document.problem((index, "name"), "twice", f"source '{name}' is defined twice"))
                elif table in fed:
                    text = f"table '{table}' is already fed by source '{fed[table]}'"
                    bad.append(document.problem((index, "table"), "twice", text, "Give each source its own table."))
                else:
                    sources[name], fed[table] = source, name
            problems += bad
        problems += [p for index, item in enumerate(document.data or []) for p in _identity(document, index, item, fed)]
        return sources, problems

    def mark(self) -> tuple[int, ...]:
        """Changes when the file does."""
        return mark_of(self.path)

    def by_table(self) -> dict[str, str]:
        """Table → the source that feeds it; the file is read again when it changed."""
        mark = self.mark()
        if self._by_table is None or self._by_table[0] != mark:
            self._by_table = (mark, {source.options.table: name for name, source in self.read()[0].items()})
        return self._by_table[1]

    def _source(self, document: Document, index: int, item: Any) -> tuple[Source | None, list[Problem]]:
        if not isinstance(item, Mapping) or "type" not in item:
            hint = "Write `- {name: …, type: files, table: …, path: …}`."
            return None, [document.problem((index,), "missing_key", "a source needs a `type`", hint)]
        try:
            kind = source_type(str(item["type"]))
            plain = expand_secrets(
                item, environment(KPI_DATA=str(self._data)), where=f"{document.file}:{document.line((index,))}"
            )
        except SettingsError as error:
            return None, [document.problem((index,), error.code, error.message, error.hint)]
        except UnknownName as error:
            return None, [document.problem((index, "type"), "not_allowed", error.message, error.hint)]
        for key in ("url", "path"):
            hide_address(str(plain.get(key, "")))
        options, bad = validated(document, kind.Options, at=(index,), data=plain)
        if PASSWORD.search(str(item.get("url", ""))):
            hint = "Write it as ${NAME} and set that in the environment: files are read, copied and committed."
            bad.append(document.problem((index, "url"), "secret", "the address holds a password", hint, "warning"))
        if options is None:
            return None, bad
        source = kind(options, folder=self._folder, allow=self._allow)
        if options.identity is not None and not (options.identity.links or source.id_links()):
            text = f"a source of type {options.type} does not say by itself whose an id is"
            hint = "State it: identity: {table: people, known: user_id, anonymous: anonymous_id, at: received_at}."
            bad.append(document.problem((index, "identity"), "missing_key", text, hint))
            return None, bad
        if options.identity is not None and (hashed := _half_hashed(source)):
            text = f"column '{hashed}' is hashed, and the ids in its table's JSON are not, so they never meet"
            hint = (
                "Make the ids of the JSON columns of their own (`properties`) and hash both, or leave `identity` out."
            )
            bad.append(document.problem((index, "identity"), "not_allowed", text, hint))
            return None, bad
        # What lies there is removed in whole one day, so no name may lead out of it.
        source.kept = self._data / "pulls" / re.sub(r"\W+", "_", options.name)
        return source, bad


def _identity(document: Document, index: int, item: Any, fed: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the table of identities that an entry names: a source's own table may not be it."""
    stated = item.get("identity") if isinstance(item, Mapping) else None
    table = stated.get("table") if isinstance(stated, Mapping) else stated
    taken = {name.casefold(): source for name, source in fed.items()}  # as engines compare names
    if not isinstance(table, str) or table.casefold() not in taken:
        return []
    text = f"table '{table}' is fed by source '{taken[table.casefold()]}', so it cannot hold whose each id is"
    return [document.problem((index, "identity"), "twice", text, "Choose another name, such as people.")]


def _half_hashed(source: Source) -> str:
    """A column of a rule that is hashed while the other id of the rule lies in JSON, which is not."""
    hashed = {column for column, rule in source.options.columns.items() if rule == "hash"}
    links = source.options.identity.links if source.options.identity else ()
    for link in links or source.id_links():
        sides = link.known, link.other
        if any(len(side) > 1 for side in sides):
            found = next((str(side[0]) for side in sides if len(side) == 1 and side[0] in hashed), "")
            if found:
                return found
    return ""
