"""What leaves the dashboard links to the address that is served; one that others cannot open is left out, and said."""

from __future__ import annotations

import dataclasses
import re
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some
from pypdf import PdfReader

from jobs.launches.board import shown as launch_export
from jobs.project.clock import utc_now
from jobs.project.project import Project, open_project
from jobs.snapshots.archived import document_of
from jobs.snapshots.board import shown as snapshot_page
from jobs.snapshots.message import message_of
from jobs.snapshots.render import render
from metrics.alerts.message import plan_notice, source_notice
from metrics.launches.message import launch_message
from metrics.presentation.links import links_to
from tests.conftest import NOW
from tests.sampling import sampled

SERVED = "https://kpi.example"
OWN = ("", "http://127.0.0.1:8501", "http://localhost:8501/", "http://[::1]:8501", "http://0.0.0.0", "http://127.8.9.1")


def shared(project: Project) -> dict[str, str]:
    """What leaves the dashboard, by name, as text."""
    document, links = document_of(project), project.links
    files = {form: render(project, document, form, now=NOW) for form in ("html", "markdown", "mail", "pdf")}
    reader = PdfReader(BytesIO(files.pop("pdf")))
    targets = [str(note.get_object()) for page in reader.pages for note in page.get("/Annots", [])]
    launch = project.catalogue().launch("new_editor")
    return {
        **{form: data.decode() for form, data in files.items()},
        "pdf": " ".join([page.extract_text() for page in reader.pages] + targets).replace("\n", " "),
        "mail text": message_of(project, document).body,
        "launch html": launch_export(project, "new_editor", now=NOW, html=True),
        "launch markdown": launch_export(project, "new_editor", now=NOW, html=False),
        "launch message": launch_message(launch, ["moved"], "P", links)[1],
        "late source": "\n".join(source_notice("opened", "s", ["late"], links).lines),
        "plan": "\n".join(plan_notice("opened", "p", "e", ["missing"], links).lines),
    }


def served_at(folder: Path, url: str) -> Project:
    project = open_project(folder)
    return dataclasses.replace(project, settings=project.settings.model_copy(update={"url": url}))


@pytest.mark.breadth(1)
@pytest.mark.parametrize("url", OWN)
def test_no_shared_text_links_to_an_address_of_one_machine(url: str, demo_folder: Path) -> None:
    for name, text in shared(served_at(demo_folder, url)).items():
        assert text.count("No link: the setting `url`") == 1, name
        assert not re.findall(r"https?://(?:127|localhost|\[|0\.)[^\s\"'<)]*", text), name
        assert not re.search(r"(?:href=.|\()\.?/?(?:kpi|snapshots|launch)\?", text), name


def test_shared_texts_link_to_the_address_that_is_served(demo_folder: Path) -> None:
    for name, text in shared(served_at(demo_folder, f"{SERVED}/")).items():
        assert f"{SERVED}/" in text and "No link" not in text, name


def test_the_page_links_to_pages_beside_it_wherever_it_is_served(demo_folder: Path) -> None:
    project = open_project(demo_folder)
    document = document_of(project)
    body = snapshot_page(project, document.snapshot, document.week, document.revision, now=utc_now()).body
    assert 'href="./kpi?kpi=sign_ups"' in body and "No link" not in body and "://127" not in body


@sampled(fast=40, slow=200, full=2000)
@given(
    host=some.one_of(
        some.integers(127 << 24, (128 << 24) - 1).map(lambda n: ".".join(str(n >> s & 255) for s in (24, 16, 8, 0))),
        some.sampled_from(["localhost", "LocalHost", "localhost.", "app.localhost", "[::1]", "[::]", "0.0.0.0", "0"]),
        some.sampled_from(["127.1", "0x7f.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]"]),
    ),
    port=some.sampled_from(["", ":8501"]),
    scheme=some.sampled_from(["http", "https"]),
)
@example(host="ada:secret@localhost", port=":8501", scheme="http")
def test_an_address_of_the_own_machine_is_known_however_it_is_written(host: str, port: str, scheme: str) -> None:
    found = links_to(f"{scheme}://{host}{port}/")
    assert found.to("kpi", {"kpi": "x"}) == "" and found.line("data").startswith("No link: ")
    assert "secret" not in found.why


@pytest.mark.parametrize(
    "url", ["kpi.example.com", "ftp://kpi.example.com", "http://", "javascript:alert(1)", "http://[x"]
)
def test_what_is_no_web_address_is_no_link(url: str) -> None:
    assert links_to(url).line("data") == "No link: the setting `url` is no web address such as https://kpi.example.com."


@pytest.mark.parametrize("host", ["kpi.example.com", "10.0.0.7", "localhost.example.com", "[fd00::7]:8501", "intranet"])
def test_an_address_that_others_reach_is_linked(host: str) -> None:
    found = links_to(f"http://{host}/base/").to("kpi", {"kpi": "sign_ups", "plan": "a b&c"})
    assert found == f"http://{host}/base/kpi?kpi=sign_ups&plan=a%20b%26c"
