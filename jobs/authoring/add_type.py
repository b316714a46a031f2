"""add source TYPE: a product's source by a few answers: the connection tried, entries, datasets and KPIs written."""

from __future__ import annotations

import gzip
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from connectors.errors import ProjectError, counted
from connectors.secrets import NAMED, hide
from connectors.sources.contract import FileScan, Question, Source, Starter, StarterTable, source_type, source_types
from jobs.authoring.add import extended, record_source, require_name, write_all
from jobs.authoring.names import flow
from jobs.project.project import Project

ROWS, LONGEST = 3, 160  # first records that are shown, and letters of each
DAY = re.compile(r"\d{4}-\d\d-\d\d")
VARIABLE = re.compile(r"[A-Za-z_]\w*")
OURS = ("settings.yml", "sources.yml")
RESERVED = ("KPI_", "AWS_", "AZURE_", "GOOGLE_", "PG", "STREAMLIT_")  # of the server and of what it is made of


def starters() -> dict[str, Starter]:
    """Types that can be set up so."""
    return {name: kind.starter for name, kind in source_types().items() if kind.starter is not None}


def add_type(
    project: Project,
    kind: str,
    given: Mapping[str, str],
    ask: Callable[[Question, str], str] | None,
    name: str = "",
    *,
    by: str = "",
) -> Iterator[str]:
    """Ask for what is missing, try the connection, write all files or none; yield what was done, a line each.

    given: option → value; of a secret, the name of the variable that holds it. ask: a question and its proposal;
    None = nobody can be asked. by: who adds it on a page, where no variable may be named that is another's; empty =
    whoever this command acts for. Raises ProjectError, SourceError; then nothing is written.
    """
    starter = _starter(kind)
    name = name or kind
    require_name(name)
    if by:
        secrets = [question for question in starter.questions if question.secret]
        _refuse_others(project, [given.get(q.option) or proposed(q, name) for q in secrets])
    answers = _answers(starter, given, ask, name, kind)
    entries = {f"{name}{_tail(t)}": _entry(f"{name}{_tail(t)}", kind, answers, t) for t in starter.tables}
    _refuse_taken(project, [*entries, *(f"{name}_{suffix}" for t in starter.tables for suffix in t.datasets)])
    first, words = _tried(project, kind, starter, answers, name)
    yield f"{kind} {words}"
    yield from first
    files = _files(project, starter, name)
    text = "\n".join(entries.values())
    record_source(project, list(entries), kind, by)
    write_all(project, {**files, "sources.yml": extended(project.folder / "sources.yml", text, len(entries))})
    kpis = [Path(file).stem for file in files if file.startswith("kpis/")]
    yield f"Added {', '.join(entries)} to sources.yml, with {counted(len(kpis), 'KPI')}: {', '.join(kpis)}"
    yield f"Next:  kpi sync --project {project.folder}"


def _starter(kind: str) -> Starter:
    found = source_type(kind).starter
    if found is None:
        raise ProjectError(
            f"source type '{kind}' is not set up by questions",
            hint=f"Those are: {', '.join(starters())}. docs/sources.md shows an entry to write by hand.",
        )
    return found


def _answers(
    starter: Starter,
    given: Mapping[str, str],
    ask: Callable[[Question, str], str] | None,
    name: str,
    kind: str,
) -> dict[str, str]:
    """Option → text of sources.yml. Raises ProjectError."""
    options = {question.option for question in starter.questions}
    if wrong := sorted(set(given) - options - set(source_type(kind).Options.model_fields)):
        raise ProjectError(f"{kind} has no option '{wrong[0]}'", hint=f"It asks for: {', '.join(sorted(options))}.")
    found = {key: flow(value) for key, value in given.items() if key not in options}
    for question in starter.questions:
        proposal = proposed(question, name)
        answer = given.get(question.option) or (ask(question, proposal) if ask else proposal)
        if not answer:
            raise ProjectError(f"{kind} needs `{question.option}`: {question.words}", hint=f"--set {question.option}=…")
        written = _secret(answer, question, proposal) if question.secret else flow(answer)
        option, _, rest = question.inside.partition(": ")
        found[option or question.option] = rest.replace("{}", written) if option else written
    if "start" in options and "since" not in found and DAY.fullmatch(found["start"].strip("'\"")):
        found["since"] = found["start"]  # all there was is pulled from then on, so its first periods are whole
    return found


def _refuse_others(project: Project, variables: Sequence[str]) -> None:
    """Raises ProjectError for a variable of somebody else: who adds a source on a page says where its key is sent."""
    named = {name for file in OURS for name in NAMED.findall(_text(project.folder / file))}
    for variable in (text.removeprefix("${").removesuffix("}") for text in variables):
        if variable in named or variable.startswith(RESERVED):
            raise ProjectError(
                f"the variable {variable} is not this source's: settings, another source or the server uses it",
                hint="Export the key once more under a name of its own, or add the source by the command.",
            )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def proposed(question: Question, name: str) -> str:
    """What a question is answered with where nothing else is said; of a secret, the name of a variable."""
    return f"{name}_{question.option}".upper() if question.secret else question.default


def _secret(variable: str, question: Question, proposal: str) -> str:
    """How sources.yml has a secret. Raises ProjectError if the environment has none of that name."""
    variable = variable.removeprefix("${").removesuffix("}")
    if not VARIABLE.fullmatch(variable) or not os.environ.get(variable):
        named = variable == proposal or (VARIABLE.fullmatch(variable) and variable.isupper() and "_" in variable)
        if not named:
            hide(variable)  # a key was given in place of a name
        shown = variable if named else proposal
        raise ProjectError(
            f"no variable of the environment holds `{question.option}`: {question.words}",
            hint=f"Export it as {shown}, or name another variable with --set; files hold its name only.",
        )
    return f'"${{{variable}}}"'


def _tail(table: StarterTable) -> str:
    return f"_{table.suffix}" if table.suffix else ""


def _entry(name: str, kind: str, answers: Mapping[str, str], table: StarterTable) -> str:
    lines = [f"- name: {name}", f"  type: {kind}", f"  table: {name}"]
    lines += [f"  {key}: {value}" for key, value in {**answers, **table.options}.items()]
    return "\n".join(lines) + "\n"


def _refuse_taken(project: Project, names: Iterable[str]) -> None:
    known = {*project.sources.all(), *project.sources.by_table()}
    for name in names:
        if name in known or (project.folder / "datasets" / f"{name}.yml").exists():
            raise ProjectError(f"source, table or dataset '{name}' already exists", hint="Choose another with --name.")


def _tried(
    project: Project, kind: str, starter: Starter, answers: Mapping[str, str], name: str
) -> tuple[list[str], str]:
    """The first records of the first table, a line each, and what the connection says. Raises SourceError."""
    made = [_made(project, kind, table, answers, name) for table in starter.tables]
    words = [source.probe() for source in made]  # a key may have the right to one table and not to another
    return [f"  {line}" for line in _first(made[0])], words[0]


def _made(project: Project, kind: str, table: StarterTable, answers: Mapping[str, str], name: str) -> Source:
    entry = _entry(f"{name}{_tail(table)}", kind, answers, table)
    sources, problems = project.sources.parsed(entry)
    wrong = [problem for problem in problems if problem.level == "error"]
    if wrong:
        raise ProjectError(wrong[0].message, hint=wrong[0].hint)
    return next(iter(sources.values()))


def _first(source: Source) -> Iterator[str]:
    """The first records that a pull brings, as they are."""
    for batch in source.pull({}):
        if isinstance(batch.rows, FileScan):
            opener = gzip.open if batch.rows.path.suffix == ".gz" else open
            with opener(batch.rows.path, "rt", encoding="utf-8", errors="replace") as file:
                yield from (line.strip()[:LONGEST] for line in itertools.islice(file, ROWS))
        return


def _files(project: Project, starter: Starter, name: str) -> dict[str, str]:
    """Datasets and KPIs, by their paths. A KPI of a name that is taken gets the source's before it."""
    taken = {path.stem for path in (project.folder / "kpis").glob("*.yml")}
    names = {t: (t if t not in taken else f"{name}_{t}") for table in starter.tables for t in table.kpis}
    datasets = {table.suffix: f"{name}{_tail(table)}" for table in starter.tables}
    datasets |= {suffix: f"{name}_{suffix}" for table in starter.tables for suffix in table.datasets}

    def placed(text: str) -> str:
        return re.sub(r"<(\w*)>", lambda found: datasets.get(found[1]) or names[found[1]], text)

    found = {}
    for table in starter.tables:
        dataset = datasets[table.suffix]
        source = "" if table.dataset.startswith("sql:") else f"source: {dataset}\n"
        found[f"datasets/{dataset}.yml"] = f"name: {dataset}\n{source}{placed(table.dataset).strip()}\n"
        for suffix, text in table.datasets.items():
            found[f"datasets/{datasets[suffix]}.yml"] = f"name: {datasets[suffix]}\n{placed(text).strip()}\n"
        for kpi, text in table.kpis.items():
            found[f"kpis/{names[kpi]}.yml"] = f"name: {names[kpi]}\n{placed(text).strip()}\n"
    return found
