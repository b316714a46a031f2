"""What an address names and nobody knows is told; it never shows something else in silence."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from jobs.project.project import open_project
from tests.conftest import ROOT, copied_demo
from tests.sampling import sampled
from ui.shell import state

pytestmark = pytest.mark.filterwarnings("default")
NAMES = sorted(path.stem for path in (ROOT / "metrics" / "definitions" / "kpis").glob("*.yml"))
HEAD = re.compile(r"<h1[^>]*>(.*?)</h1>")


def opened(folder: Path) -> AppTest:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        st.cache_resource.clear()
        st.cache_data.clear()
        state.changed()  # one server shows one project; this process shows several
        return AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=120).run()


@pytest.fixture(scope="module")
def demo_app(demo_folder: Path) -> Iterator[AppTest]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KPI_PROJECT", str(demo_folder))
        yield opened(demo_folder)


def at(app: AppTest, page: str, **address: str) -> AppTest:
    """The page at an address, and that no error is shown in its place."""
    app.switch_page(f"../pages/{page}.py")
    app.query_params.clear()
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def title(app: AppTest) -> str:
    return app.title[0].value.replace("\\", "")


def told(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def shows_nothing_else(app: AppTest) -> bool:
    drawn = (app.selectbox, app.dataframe, app.button, app.header, app.get("plotly_chart"), app.get("download_button"))
    return not any(drawn)


def misspelt() -> some.SearchStrategy[tuple[str, str]]:
    """A KPI's name, and what a hand made of it: a letter more, less, another, two swapped, or another name at all."""
    letters = some.sampled_from(string.ascii_lowercase + "_")

    def slip(name: str) -> some.SearchStrategy[str]:
        place = some.integers(0, len(name) - 2)
        return some.one_of(
            some.builds(lambda i, c: name[:i] + c + name[i:], place, letters),
            some.builds(lambda i: name[:i] + name[i + 1 :], place),
            some.builds(lambda i, c: name[:i] + c + name[i + 1 :], place, letters),
            some.builds(lambda i: name[:i] + name[i + 1] + name[i] + name[i + 2 :], place),
            some.just(name.upper()),
            some.text(string.printable, min_size=1, max_size=40).filter(str.strip),
        )

    pairs = some.sampled_from(NAMES).flatmap(lambda name: some.tuples(some.just(name), slip(name)))
    return pairs.filter(lambda pair: pair[1] not in NAMES)


@sampled(fast=8, slow=16, full=300, shrink=False)
@given(pair=misspelt())
def test_a_misspelt_kpi_never_shows_another(demo_app: AppTest, pair: tuple[str, str]) -> None:
    app = at(demo_app, "kpi", kpi=pair[1])
    assert title(app).startswith("No KPI “") and shows_nothing_else(app)
    assert "kpi-value" not in told(app) and "href='./kpis'" in told(app)


@pytest.mark.breadth(3)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_one_letter_too_many_is_offered_first(demo_app: AppTest, name: str) -> None:
    app = at(demo_app, "kpi", kpi=f"{name}x", range="90d")
    first = re.search(r"Did you mean <a href='([^']*)'", told(app))
    assert first is not None and first[1].replace("&amp;", "&") == f"./kpi?range=90d&kpi={name}"
    app = at(demo_app, "kpi", kpi=name)
    assert "Did you mean" not in told(app) and len(app.dataframe) == 1


@pytest.mark.parametrize(
    ("page", "address", "said", "near"),
    [
        ("launch", {"launch": "new_editr"}, "No launch “new_editr”", "./launch?launch=new_editor"),
        ("snapshots", {"week": "2026-W74"}, "No week “2026-W74”", "./snapshots?week=2026-W47"),
        ("snapshots", {"week": "2026-W47", "revision": "9"}, "No revision “9”", ""),
        ("snapshots", {"snapshot": "larkspur"}, "No snapshot “larkspur”", ""),
    ],
)
def test_an_unknown_subject_shows_nothing_in_its_place(
    demo_app: AppTest, page: str, address: dict[str, str], said: str, near: str
) -> None:
    app = at(demo_app, page, **address)
    assert title(app) == said and near in told(app)
    assert not app.dataframe and not app.header


@pytest.mark.parametrize(
    ("page", "address", "said"),
    [
        ("kpi", {"kpi": "sign_ups", "grain": "fortnight"}, "grain=fortnight, which is unknown here. Shown is: By week"),
        ("kpi", {"kpi": "sign_ups", "range": "900d"}, "range=900d, which is unknown here. Shown is: "),
        ("kpi", {"kpi": "sign_ups", "compare": "x"}, "compare=x, which is unknown here. Shown is: No comparison"),
        ("kpi", {"kpi": "sign_ups", "by": "moon"}, "by=moon, which is unknown here. Shown is: No breakdown"),
        ("kpi", {"kpi": "sign_ups", "rule": "x"}, "rule=x, which is unknown here. Shown is: "),
        ("kpi", {"kpi": "sign_ups", "platform": "amiga"}, "platform=amiga, which is unknown here. Shown is: all"),
        ("kpi", {"kpi": "sign_ups", "rule": "try_limit", "limit": "x"}, "limit=x, which is unknown here. Shown is: "),
        ("overview", {"area": "Growht"}, "area=Growht, which is unknown here. Shown is: All areas"),
        (
            "overview",
            {"segment": "platform:amiga"},
            "segment=platform:amiga, which is unknown here. Shown is: Everyone",
        ),
        ("launch", {"launch": "new_editor", "chart": "x"}, "chart=x, which is unknown here. Shown is: "),
        (
            "snapshots",
            {"week": "2026-W47", "compare": "x"},
            "compare=x, which is unknown here. Shown is: Choose a week",
        ),
    ],
)
def test_an_unknown_choice_is_told_with_what_is_shown(
    demo_app: AppTest, page: str, address: dict[str, str], said: str
) -> None:
    known = {name: value for name, value in address.items() if f"{name}={value}" not in said}
    assert "unknown here" not in told(at(demo_app, page, **known))
    assert said in told(at(demo_app, page, **address))


def test_a_link_with_a_former_name_opens_the_kpi_of_today(
    tmp_path: Path, demo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    path = folder / "kpis" / "sign_ups.yml"
    path.write_text(f"{path.read_text()}\nformerly: [registrations]\n")
    assert open_project(folder).catalogue().formerly == {"registrations": "sign_ups"}
    monkeypatch.setenv("KPI_PROJECT", str(folder))
    app = at(opened(folder), "kpi", kpi="registrations", grain="month")
    assert title(app) == "Sign-ups" and "registrations is now called Sign-ups (sign_ups)." in told(app)
    assert [*app.query_params.values()] in (["sign_ups", "month"], [["sign_ups"], ["month"]])
    assert "registrations" not in told(at(app, "kpi", kpi="activation"))


def test_a_former_name_of_a_kpi_draws_it_on_a_launch(
    tmp_path: Path, demo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied_demo(demo_folder, tmp_path / "demo")
    path = folder / "kpis" / "nps.yml"
    path.write_text(f"{path.read_text()}\nformerly: [promoter_score]\n")
    monkeypatch.setenv("KPI_PROJECT", str(folder))
    app = at(opened(folder), "launch", launch="new_editor", chart="promoter_score")
    assert "unknown here" not in told(app) and "NPS: as seen, and as expected" in told(app)
