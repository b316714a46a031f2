"""Launch: did it work? The scorecard of one launch, to be shared."""

from __future__ import annotations

import streamlit as st

from jobs.launches.board import page_of
from jobs.launches.registry import text_of
from jobs.project.clock import utc_now
from metrics.launches.export import html as as_html
from metrics.launches.export import markdown
from metrics.launches.page import LaunchPage
from ui.audit.download import recorded
from ui.launches.charts import path_figure
from ui.launches.scorecard import (
    decide,
    edit_launch,
    show_adoption,
    show_basis,
    show_decision,
    show_people,
    show_segments,
    show_voice,
)
from ui.shell import state, url
from ui.shell.empty import first_steps
from ui.shell.ended import headed
from ui.shell.once import once
from ui.shell.plot import plot
from ui.shell.share import share
from ui.shell.templates import line, render
from ui.shell.trail import trail
from ui.shell.words import literal


@state.cached_view
def view(name: str) -> LaunchPage:
    """Everything the page shows."""
    return page_of(state.project(), name, now=utc_now())


@state.cached_view
def kept_text(name: str) -> str | None:
    """The text of a launch that was made here."""
    return text_of(state.project(), name)


def page() -> None:
    """Decision, headline, picture, then adoption, chart, voice, and what it rests on."""
    if not state.project().has_data():
        first_steps(state.project())
        return
    catalogue = state.catalogue()
    today = catalogue.today(utc_now())
    known = [x for x in catalogue.launches if x.kind == "launch"]
    if not known:
        st.title("No launches yet")
        render("launches/first")
        return
    begun = [x for x in known if x.starts_on <= today]
    labels = {x.name: x.title for x in reversed(known)}
    if st.query_params.get("launch") in {draft.name for draft in catalogue.drafts}:
        catalogue.launch(st.query_params["launch"])  # says what a draft lacks
    latest, every = (begun or known)[-1].name, ("All launches", "launches")
    name = url.subject("launch", "Launch", labels, latest, listing=every, picker=False)
    found = view(name)
    trail((("Launches", "launches"),), found.title, "launch", "launch", {x.name: x.title for x in known}, name)
    st.title(literal(found.title))
    show_decision(found)
    render("launches/headline", said=found.headline)
    if found.forest:
        render("launches/forest", rows=found.forest, lights=found.lights)
    headed()
    _acts(found)
    told = [found.line, " → ".join(found.steps), f"Owner {found.owner}" if found.owner else "", found.data_line]
    line(" · ".join(filter(None, told)))
    if found.hypothesis:
        render("launches/hypothesis", words=found.hypothesis)
    show_people(found)
    show_adoption(found)
    _chart(found)
    show_segments(found)
    show_voice(found)
    _verdicts(found)
    show_basis(found)
    kept = kept_text(name)
    if kept is not None and state.may("launch"):
        edit_launch(name, kept)


def _acts(found: LaunchPage) -> None:
    links = state.project().links
    with st.container(horizontal=True, key="exports", gap="small"):
        if state.may("decide"):
            decide(found)
        if state.may("export"):
            subject = f"launch:{found.name}"
            page = recorded(subject, "html", lambda: once("html", lambda: as_html(found, links), found))
            text = recorded(subject, "markdown", lambda: once("markdown", lambda: markdown(found, links), found))
            st.download_button("Export HTML", page, f"{found.name}.html", "text/html", on_click="ignore")
            st.download_button("Export Markdown", text, f"{found.name}.md", "text/markdown", on_click="ignore")
        share("launch")


def _verdicts(found: LaunchPage) -> None:
    st.header("How sure is that?")
    if not found.blocks:
        line("No KPI is named: there is nothing to read.")
        return
    render("launches/scores", blocks=found.blocks)


def _chart(found: LaunchPage) -> None:
    drawn = {block.name: block.title for block in found.blocks if block.path is not None}
    if not drawn:
        return
    st.header("Before and after")
    name = url.choose("chart", "KPI drawn", drawn, next(iter(drawn)), buttons=True, renamed=state.catalogue().formerly)
    block = next(b for b in found.blocks if b.name == name)
    path = block.path
    assert path is not None
    words = f"{block.title}: as seen, and as expected without the launch, with a band of 95%"
    plot(lambda: path_figure(path), path, key="path", alt=words)
    line(f"{words}. {block.today}")


page()
