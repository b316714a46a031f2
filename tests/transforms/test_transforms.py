"""Every transform keeps the contract, a new file at once; and each built-in on numbers a person can check."""

from __future__ import annotations

import inspect
import os
import typing
from math import nan
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.errors import TransformError
from metrics.transforms import _function, _options_of, known_transforms

KNOWN = known_transforms(Path("none"))[0]
VALUES = [1.0, 3.0, nan, 0.0, 8.0]
EXAMPLES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "rolling": ({"periods": 2, "agg": "sum"}, [nan, 4.0, nan, nan, 8.0]),
    "cumulative": ({}, [1.0, 4.0, nan, nan, nan]),
    "difference": ({"periods": 1}, [nan, 2.0, nan, nan, 8.0]),
    "percent_change": ({"periods": 1}, [nan, 2.0, nan, nan, nan]),
    "shift": ({"periods": 2}, [nan, nan, 1.0, 3.0, nan]),
    "fill": ({"method": "previous"}, [1.0, 3.0, 3.0, 0.0, 8.0]),
    "scale": ({"factor": 10}, [10.0, 30.0, nan, 0.0, 80.0]),
    "ewm": ({"halflife": 1}, []),  # its own test below
}


def series(values: list[float]) -> pd.Series:
    return pd.Series(values, index=pd.date_range("2026-11-01", periods=len(values)), dtype="float64")


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_transform_is_causal_and_takes_its_options(name: str) -> None:
    """What comes later must not change what was shown: cutting the future off leaves the past as it was."""
    assert name in EXAMPLES, f"give {name} an example here"
    options = EXAMPLES[name][0]
    assert KNOWN[name].option_problems(options) == []
    whole = KNOWN[name].apply(series(VALUES), options)
    for cut in range(1, len(VALUES)):
        part = KNOWN[name].apply(series(VALUES[:cut]), options)
        pd.testing.assert_series_equal(part, whole.iloc[:cut], check_freq=False)


@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"ewm"}))
def test_a_transform_gives_what_a_hand_computes(name: str) -> None:
    options, expected = EXAMPLES[name]
    assert KNOWN[name].apply(series(VALUES), options).tolist() == pytest.approx(expected, nan_ok=True)


def test_ewm_weighs_the_period_before_half() -> None:
    assert KNOWN["ewm"].apply(series([1.0, 3.0]), {"halflife": 1}).tolist() == pytest.approx([1, (3 + 0.5 * 1) / 1.5])


@pytest.mark.parametrize("name", ["difference", "percent_change", "shift"])
def test_no_transform_looks_ahead(name: str) -> None:
    with pytest.raises(TransformError, match="never ahead"):
        KNOWN[name].apply(series(VALUES), {"periods": -1})


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_options_are_read_as_the_function_has_them(name: str) -> None:
    function = _function(name, KNOWN[name].path, KNOWN[name].code)
    hints = typing.get_type_hints(function)
    stated = list(inspect.signature(function).parameters.values())[1:]
    assert _options_of(name, KNOWN[name].path) == {p.name: p.replace(annotation=hints[p.name]) for p in stated}


def test_a_file_saved_again_within_the_second_is_what_runs(tmp_path: Path) -> None:
    """Of the same size and time as before: only the text tells."""
    written = tmp_path / "doubled.py"
    for factor in (2, 3, 4):
        written.write_text(f"def doubled(values):\n    return values * {factor}\n")
        os.utime(written, (1_790_000_000, 1_790_000_000))
        found = known_transforms(tmp_path)[0]["doubled"]
        assert found.apply(series([1.0]), {}).tolist() == [factor]
    assert list(tmp_path.iterdir()) == [written]  # nothing is left beside an analyst's file


def test_a_file_that_changed_since_its_hash_was_taken_is_not_run(tmp_path: Path) -> None:
    written = tmp_path / "doubled.py"
    written.write_text("def doubled(values):\n    return values * 5\n")
    found = known_transforms(tmp_path)[0]["doubled"]
    written.write_text("def doubled(values):\n    return values * 9\n")
    with pytest.raises(TransformError, match="changed while it was read"):
        found.apply(series([1.0]), {})
