"""What a dataset's `join` can get wrong: its dataset, its key, its dimensions. Many rows to one, never more."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from connectors.errors import Problem, did_you_mean
from connectors.warehouse.contract import Columns
from metrics.catalog.document import Document
from metrics.catalog.models.dataset import Dataset


def joins(
    item: Dataset,
    document: Document,
    datasets: Mapping[str, Dataset],
    bad_datasets: Collection[str],
    columns: Mapping[str, Columns | None],
) -> list[Problem]:
    """Every problem of the dataset's joins. That the other's key is unique is looked at when it is read."""
    found: list[Problem] = []
    have = {*item.dimensions, *(columns.get(item.name) or {})}
    for index, join in enumerate(item.join):
        place = ("join", index)
        other = datasets.get(join.dataset)
        if other is None:
            known = f"Fix datasets/{join.dataset}.yml first." if join.dataset in bad_datasets else ""
            hint = known or did_you_mean(join.dataset, sorted(set(datasets) - {item.name}))
            text = f"unknown dataset '{join.dataset}'" if not known else f"dataset '{join.dataset}' is wrong"
            found.append(document.problem((*place, "dataset"), "unknown_dataset", text, hint))
            continue
        if len(other.primary_key) != 1:
            text = f"dataset '{other.name}' has no `primary_key` of one column, so a row here may meet several there"
            hint = f"Write `primary_key:` in datasets/{other.name}.yml, or a SELECT that has one row for each key."
            found.append(document.problem((*place, "dataset"), "fan_out", text, hint))
        own = columns.get(item.name)
        if own is not None and join.by not in own:
            key, text = (*place, "by"), f"unknown column '{join.by}'"
            found.append(document.problem(key, "unknown_column", text, did_you_mean(join.by, list(own))))
        for dimension in join.dimensions or other.own_dimensions:
            spot: tuple[str | int, ...] = (*place, "dimensions") if join.dimensions else place
            if dimension not in other.dimensions:
                text = f"dataset '{other.name}' has no dimension '{dimension}' that it could lend"
                hint = did_you_mean(dimension, list(other.dimensions))
                found.append(document.problem(spot, "unknown_dimension", text, hint))
            elif dimension in have:
                text = f"'{dimension}' is borrowed, but already exists"
                hint = "List only the others in the join's `dimensions`, or rename one."
                found.append(document.problem(spot, "twice", text, hint))
            have.add(dimension)
    return found


def borrows(datasets: Mapping[str, Dataset], name: str, of: str) -> bool:
    """Whether a dataset borrows of another, at once or through others; of itself, too."""
    seen, todo = {name}, [name]
    while todo:
        more = {join.dataset for join in datasets[todo.pop()].join if join.dataset in datasets} - seen
        seen |= more
        todo += sorted(more)
    return of in seen


def lenders_first(datasets: Mapping[str, Dataset]) -> list[str]:
    """All names, each after those that it borrows of; where they borrow of each other, by name."""
    placed: dict[str, None] = {}

    def place(name: str, on_the_way: tuple[str, ...]) -> None:
        for join in datasets[name].join:
            if join.dataset in datasets and join.dataset not in (*on_the_way, *placed):
                place(join.dataset, (*on_the_way, join.dataset))
        placed.setdefault(name)

    for name in sorted(datasets):
        place(name, (name,))
    return list(placed)
