"""From what was seen of a source to a proposal: as the export that it is, or as what its columns say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from connectors.errors import ProjectError, counted
from connectors.texts.reading import TextReading
from jobs.authoring import purposes, usual
from jobs.authoring.exports.contract import Export, recognised
from jobs.authoring.names import identifies, slug, words
from jobs.authoring.profile import TIMELY, Column, Profile
from jobs.authoring.proposal import DatasetPlan, Kpi, Proposal, dimension_names


@dataclass(frozen=True)
class Look:
    """What was seen and what is proposed. dates, numbers: column → style, to be stated with the source."""

    profile: Profile
    proposal: Proposal
    time: Column
    dates: Mapping[str, str]
    numbers: Mapping[str, str]

    @property
    def days(self) -> int:
        """From the first to the last."""
        return self.profile.spans[self.time.name].days

    @property
    def cursor(self) -> str:
        """The column that says when a row was changed last; empty if none does."""
        times = [c for c in self.profile.columns if c.kind.startswith("TIMESTAMP") and not c.nulls]
        return next((c.name for c in times if set(words(c.name)) & {"updated", "modified", "changed"}), "")


def proposed(profile: Profile) -> Look:
    """What a good analyst would make of it. Raises ProjectError if no column says when a row happened."""
    export = recognised(profile)
    time = _export_time(export) or next(iter(purposes.times(profile)), None)
    if time is None:
        raise _timeless(profile)
    if export is not None and (not export.time or _export_time(export) is not None):
        made = _of_export(profile, export, time)
    else:
        made = _of_columns(profile, time)
    timely = [c for c in profile.columns if c.style and (c is time or set(words(c.name)) & TIMELY)]
    dates = {} if profile.sql else {c.name: c.style for c in timely}
    dates = {**dates, **_styles(profile, "dates")}
    made = replace(made, cautions=(*made.cautions, *doubtful(profile).values(), *_notes(profile, made)))
    if time.nulls:
        have, it = ("has", "it") if time.nulls == 1 else ("have", "them")
        without = f"{time.nulls:,} of {counted(profile.rows, 'row')} {have} no {time.name}: no period has {it}."
        made = replace(made, cautions=(*made.cautions, without))
    return Look(profile, _distinct_names(made), time, dates, _styles(profile, "numbers"))


def _styles(profile: Profile, role: str) -> dict[str, str]:
    """Column → how its texts were read, of those that are dates, or numbers."""
    return {c: r.style for c, r in profile.readings.items() if r.role == role}


def doubtful(profile: Profile) -> dict[str, str]:
    """Column → what none of its rows decides, and no other column of the file does, in words."""
    numbers = [r for r in profile.readings.values() if r.role == "numbers"]
    decided = {r.style.rstrip("%") for r in numbers if not r.doubt}
    certain = len(decided) == 1
    settled = {c for c, r in profile.readings.items() if certain and _settled(r, decided)}
    sentences = {
        c: [said for said in ("" if c in settled else r.doubt, r.mixed) if said] for c, r in profile.readings.items()
    }
    return {c: ". ".join(said) + "." for c, said in sentences.items() if said}


def _notes(profile: Profile, made: Proposal) -> list[str]:
    """What was odd, but for answers that are taken out of words: 10 - Extremely likely."""
    scores = {name for kpi in made.kpis if kpi.keys.get("type") == "survey" for name in kpi.used}
    return [note for note in profile.notes if not any(note.startswith(f"'{name}'") for name in scores)]


def _settled(reading: TextReading, decided: set[str]) -> bool:
    return reading.role == "numbers" and reading.style.rstrip("%") in decided


def _export_time(export: Export | None) -> Column | None:
    found = (export.column(name) for name in export.time) if export else iter(())
    return next((c for c in found if c is not None and c.is_time), None)


def _of_export(profile: Profile, export: Export, time: Column) -> Proposal:
    entity = export.column(*export.entity) if export.entity else None
    key = export.column(export.key) if export.key else None
    own = _dataset(profile, time, entity, key.name if key and key.unique else "", export.dimension_columns())
    kpis = export.kpis()
    codes = export.currencies()
    warned = [usual.mixed(codes, slug(export.currency.split("|")[0]))] if len(codes) > 1 else []
    missing = [t.label for t in export.proposed() if t.name not in {k.name for k in kpis}]
    return Proposal(
        export.datasets(own), tuple(kpis), _grain(profile, time), export.title, tuple(warned), tuple(missing)
    )


def _of_columns(profile: Profile, time: Column) -> Proposal:
    known = usual.understood(profile, time)
    kpis = usual.kpis(profile, known)
    unique = [c.name for c in profile.columns if c.unique and identifies(c.name)]
    dimensions = usual.dimensions(profile, known)
    own = _dataset(profile, time, known.entity, unique[0] if unique else "", dimensions)
    step = profile.spans[time.name].step if known.report else "day"
    grain = step if step != "day" else _grain(profile, time)
    return Proposal((own,), tuple(kpis), grain, cautions=tuple(usual.cautions(profile, known, kpis)))


def _dataset(profile: Profile, time: Column, entity: Column | None, key: str, dimensions: list[Column]) -> DatasetPlan:
    named = dimension_names({c.name: "" for c in dimensions})
    why = "Values that lie within others are columns here." if profile.sql else ""
    naive = time.kind.startswith("TIMESTAMP") and "ZONE" not in time.kind and not profile.sql
    return DatasetPlan(
        profile.name, profile.name, time.name, naive, entity.name if entity else "", key, named, profile.sql, why
    )


def _grain(profile: Profile, time: Column) -> str:
    days = profile.spans[time.name].days
    return "day" if days < 70 else "week" if days < 800 else "month"


def _distinct_names(made: Proposal) -> Proposal:
    """The first of a name keeps it; what is named like a later one gets a number."""
    taken: set[str] = set()
    kpis: list[Kpi] = []
    for kpi in made.kpis:
        name, number = kpi.name, 1
        while name in taken:
            number += 1
            name = f"{kpi.name}_{number}"
        taken.add(name)
        kpis.append(replace(kpi, name=name))
    return replace(made, kpis=tuple(kpis))


def _timeless(profile: Profile) -> ProjectError:
    listed = ", ".join(f"{c.name} ({c.kind})" for c in profile.columns[:40])
    return ProjectError(
        f"no column of {profile.name} looks like a date or time",
        hint=f"Columns: {listed}. A KPI needs to know when a row happened; make a project without --from and state "
        "for its source how the column is read, such as  dates: {Day: dmy}.",
    )
