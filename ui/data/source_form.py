"""The form that adds a product's source: what `kpi add source TYPE` asks, for those who may edit."""

from __future__ import annotations

import time

import streamlit as st

from connectors.errors import KpiError
from jobs.authoring.add_type import add_type, proposed, starters
from ui.shell import state
from ui.shell.acts import admit
from ui.shell.templates import line
from ui.shell.words import literal, literal_lines

DONE = "source_added"


def source_form() -> None:
    """Fields of a type, and what is wrong with them. Who may not edit is told how it is done."""
    st.header("Add a source")
    if done := st.session_state.pop(DONE, ""):
        st.success(literal_lines(done))
    if not state.may("edit"):
        st.write("`kpi add source TYPE` asks for what it needs, tries the connection and writes the first KPIs.")
        line("Here it can be done by those whom settings.yml names under editors.")
        return
    left, right = st.columns(2)
    kind = left.selectbox("Product", sorted(starters()), key="source_kind")
    name = right.text_input("Name of the source", kind, key=f"source_name_{kind}", max_chars=60).strip()
    given = _answers(kind, name)
    st.caption("Keys stay in the environment of the server: fields hold the name of a variable.")
    if st.button("Connect and add", type="primary", key="add_source"):
        _add(kind, name, given)


def _answers(kind: str, name: str) -> dict[str, str]:
    """Option → what was entered, of those that are not empty."""
    found = {}
    for question in starters()[kind].questions:
        label = f"{question.words}: variable that holds it" if question.secret else question.words
        said = st.text_input(
            literal(label), proposed(question, name or kind), key=f"source_{kind}_{question.option}", max_chars=500
        )
        found[question.option] = said.strip()
    return {option: said for option, said in found.items() if said}


def _add(kind: str, name: str, given: dict[str, str]) -> None:
    try:
        admit("edit", time.monotonic())
        with st.spinner("Connecting"):
            said = list(add_type(state.served(), kind, given, None, name, by=state.who()))
    except KpiError as error:
        st.error(literal_lines(f"{error.message}\n{error.hint}" if error.hint else error.message))
        return
    state.changed()
    st.session_state[DONE] = "\n".join([*said[:-1], "Next: Sync now."])
    st.rerun()
