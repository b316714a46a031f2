"""The first page: headline, three bullets and the grid on one sheet and one phone and a half, however much there is."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from pypdf import PdfReader

from jobs.project.project import open_project
from jobs.snapshots.archived import document_of
from jobs.snapshots.render import render, sheet_of
from metrics.presentation.links import links_to
from metrics.snapshots.document import AlertLine, Document, LaunchLine, Note
from metrics.snapshots.formats import as_html, as_mail, as_pdf
from metrics.snapshots.formats.as_markdown import as_markdown
from metrics.snapshots.formats.front import BULLETS, GRID, short, short_title
from metrics.snapshots.formats.sheet import Sheet, sheet
from tests.snapshots.conftest import NOW, many

PHONE = 844 * 1.5  # pixels: a screen and a half
LINKS = links_to("https://kpi.example")
LONG = "Share {} of new accounts that create their first document in the editor and invite a colleague within 7 days"
LINEAGE = ("Appendix", "Command", "kpi query", "--as-of", "How counted", "of generation", "Definition")
WAYS = [(count, title) for count in (1, 2, 4, 9, 14, 15, 17, 24, 30, 40) for title in ("KPI {}", LONG)]


def crowded(made: Document, count: int, title: str) -> Document:
    """A week of so many KPIs in which there is a lot to say."""
    found = many(made, count, title)
    if title != LONG:
        return found.model_copy(update={"summary": tuple(f"KPI {n}: the highest of 56 weeks." for n in range(8))})
    name, words = LONG.format(0), "moved most against what was expected: 98.5%, where 99.2% to 99.7% was expected."
    return found.model_copy(
        update={
            "headline": f"12 of {count} off track; worst {name}, 8.6 points under target.",
            "summary": tuple(f"{name} {words}" for _ in range(6)),
            "missing": tuple(f"Dataset {n} has nothing after Sun 22 Nov 2026." for n in range(9)),
            "alerts": tuple(
                AlertLine(title=name, severity="critical", state="Open", since="22 Nov", words="below 1", owner="ana")
                for _ in range(12)
            ),
            "launches": tuple(
                LaunchLine(name="x", label=name, when="Day 16", owner="ana", verdicts=(name, name)) for _ in range(6)
            ),
        }
    )


def pages(data: bytes) -> list[str]:
    return [" ".join(p.extract_text().replace("\u200b", "").split()) for p in PdfReader(io.BytesIO(data)).pages]


def notes(title: str) -> tuple[Note, ...]:
    return (Note(text="The fix is out since Sunday. " * 30, by="Ana", at=NOW),) if title == LONG else ()


@pytest.mark.breadth(4)
@pytest.mark.parametrize(("count", "title"), WAYS)
def test_the_first_page_of_the_pdf_is_all_an_exec_needs(made: Document, count: int, title: str) -> None:
    document = crowded(made, count, title)
    whole = sheet(document, links=LINKS, notes=notes(title))
    first, second, *_ = pages(as_pdf.pdf(whole, document.taken_at))
    for words in (whole.front.headline, *whole.front.bullets):
        assert words in first and len(whole.front.bullets) == BULLETS
    for cell in whole.front.cells:
        assert f"{cell.value} {cell.change}" in first and f"{cell.label} · {cell.period}" in first
    assert len(whole.front.cells) == min(count, GRID)
    assert not [word for word in LINEAGE if word in first]
    assert second.startswith("Also this week")
    assert whole.front.counts in first or all(words in first for words in whole.front.news)


def test_the_demo_is_one_page_and_at_most_three(demo_folder: Path) -> None:
    project = open_project(demo_folder)
    document = document_of(project)
    found = pages(render(project, document, "pdf"))
    whole = sheet_of(project, document)
    assert len(found) <= 4, [page[:60] for page in found]
    assert all(cell.value in found[0] for cell in whole.cells)
    assert not whole.front.dense and sum(bool(cell.spark) for cell in whole.front.cells) > 10, "with its last weeks"
    assert not [word for word in LINEAGE if word in found[0]]
    behind = next(n for n, page in enumerate(found) if "Appendix: where the numbers come from" in page)
    last = max(n for n, page in enumerate(found) if "Launches" in page)
    assert behind >= last, "the appendix stands behind"
    assert not [word for word in LINEAGE for page in found[:behind] if word in page]


def test_what_is_left_out_is_counted_and_what_is_urgent_stays(made: Document) -> None:
    large = many(made, 50)
    lines = [line for section in large.sections for line in section.lines]
    late = lines[47].model_copy(update={"status": "off_track", "status_label": "Off track"})
    rest = [line.model_copy(update={"status": "on_track", "status_label": "On track"}) for line in lines]
    rest[47] = late
    section = large.sections[0].model_copy(update={"lines": tuple(rest)})
    first = sheet(large.model_copy(update={"sections": (section,)}), links=LINKS).front
    assert first.left == "10 more follow below: 10 on track."
    assert [c.title for c in first.cells] == [*(f"KPI {n}" for n in range(GRID - 1)), "KPI 47"]
    assert not first.cells[-1].far and first.left_phone.endswith("on track.")


def test_what_was_shortened_is_told_in_full_below(made: Document) -> None:
    document = crowded(made, 9, LONG)
    whole = sheet(document, links=LINKS, notes=notes(LONG))
    said = (*document.summary, *document.missing, notes(LONG)[0].text.strip(), LONG.format(0))
    plain = re.sub(r"<[^>]+>", "", as_html.body(whole)).replace("&#34;", '"')
    paper = " ".join(pages(as_pdf.pdf(whole, document.taken_at)))
    for form in (" ".join(plain.split()), paper, as_mail.body(whole), as_markdown(whole).replace("\\", "")):
        assert [words for words in said if words not in form] == []


def test_titles_are_cut_but_not_at_their_segment() -> None:
    assert short("Activation", 48) == "Activation"
    assert short("Share of new accounts that invite", 24) == "Share of new accounts…"
    assert short("x" * 60, 20) == "x" * 19 + "…"
    assert short_title("Error-free sessions · android", 25) == "Error-free… · android"
    assert len(short_title(f"{'word ' * 30}· {'x' * 80}", 25)) <= 25


def test_every_form_has_the_same_order(made: Document) -> None:
    whole = sheet(crowded(made, 9, "KPI {}"), links=LINKS)
    bullet, more, footer = whole.front.bullets[0], whole.front.more[0], "of generation"
    sentence = whole.parts[0].blocks[0].sentences[0].text
    forms = {
        "html": as_html.body(whole),
        "markdown": as_markdown(whole),
        "mail": as_mail.html(whole, []),
        "pdf": " ".join(pages(as_pdf.pdf(whole, NOW))),
    }
    for name, text in forms.items():
        order = [whole.front.headline, bullet, whole.cells[0].label, more, sentence, footer]
        places = [text.find(words) for words in order]
        assert -1 not in places and places == sorted(places), (name, places)
    plain = as_mail.body(whole)
    places = [plain.index(words) for words in (whole.headline, bullet, "KPI 0:", more, footer)]
    assert places == sorted(places)
    assert len(forms["mail"].encode()) < 40_000


OLD = (
    "in_points",
    "ranged",
    "redefined",
    "place",
    "record",
    "miss",
    "pace",
    "weeks_note",
    "months_note",
    "parts",
    "low",
)


def test_a_document_of_earlier_is_shown(made: Document) -> None:
    """Keys that came later are missing in it."""
    plain: dict[str, Any] = json.loads(made.model_dump_json())
    for section in plain["sections"]:
        for line in section["lines"]:
            for key in OLD:
                del line[key]
    for key in ("alerts", "launches", "missing"):
        del plain[key]
    whole: Sheet = sheet(Document.model_validate(plain), links=LINKS)
    assert whole.front.counts == "" and whole.front.news == ()
    assert as_html.file(whole) and as_markdown(whole) and as_mail.body(whole)
    assert len(pages(as_pdf.pdf(whole, NOW))) >= 2 and as_pdf.header_png(whole)


@pytest.mark.breadth(3)
@pytest.mark.parametrize(("count", "title"), WAYS)
def test_the_file_fits_a_phone_and_a_half_and_the_sheet(
    browser: Any, made: Document, tmp_path: Path, count: int, title: str
) -> None:
    path, document = tmp_path / "week.html", crowded(made, count, title)
    whole = sheet(document, links=LINKS, notes=notes(title))
    path.write_text(as_html.file(whole))
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(path.as_uri())
    assert page.evaluate("document.querySelector('.front').getBoundingClientRect().bottom + scrollY") <= PHONE
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shown = page.locator(".bws .grid li:visible").count()
    assert shown == count or page.get_by_text(re.compile(f"^{count - shown} more follows? below")).is_visible()
    assert [d for d in page.locator("details").all() if d.get_attribute("open") is not None] == []
    data = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    assert {(round(float(p.mediabox.width)), round(float(p.mediabox.height))) for p in data.pages} == {(595, 842)}
    first, second = (" ".join(p.extract_text().split()) for p in data.pages[:2])
    assert whole.front.bullets[0] in first and "Also this week" in second and "Command" not in first
    page.set_viewport_size({"width": 695, "height": 1024})  # a sheet less its margins
    page.emulate_media(media="print")
    wide = (
        "[...document.querySelectorAll('.bws *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert page.evaluate(wide) == 0, "cut at the edge of the paper"
    page.close()


def test_the_file_has_no_serious_finding_of_axe_with_everything_unfolded(
    browser: Any, made: Document, tmp_path: Path
) -> None:
    path = tmp_path / "week.html"
    path.write_text(as_html.file(sheet(crowded(made, 15, LONG), links=LINKS, notes=notes(LONG))))
    for scheme in ("light", "dark"):
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        page.close()
