"""Every form says the same: numbers equal in page, file, PDF, Markdown, CSV and JSON; hostile names are only names."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pypdf import PdfReader

from jobs.snapshots.render import mail_preview, render, sheet_of
from jobs.snapshots.take import take_by_hand
from metrics.presentation.links import Links
from metrics.snapshots.document import Document, Note
from metrics.snapshots.formats import as_html, as_mail, as_pdf
from metrics.snapshots.formats.as_csv import as_csv
from metrics.snapshots.formats.as_markdown import as_markdown
from metrics.snapshots.formats.charts import spark
from metrics.snapshots.formats.paths import FORMS
from metrics.snapshots.formats.sheet import Sheet, sheet
from tests.conftest import Builder
from tests.snapshots.conftest import END, NOW, kpi, many, orders, shop_of, take, write

pytestmark = pytest.mark.breadth(4)

LINKS = Links("https://kpi.example")
NOTES = (Note(text="The sale began on Friday.", by="Ana", at=NOW),)


@pytest.fixture(scope="module")
def whole(made: Document) -> Sheet:
    return sheet(made, links=LINKS, notes=NOTES)


class Text(HTMLParser):
    """The tags of a file, its attributes, and the texts of elements with a class."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br", "img", "link"):
            self._open.append(dict(attrs).get("class") or tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.append((self._open[-1], data))

    def of(self, name: str) -> list[str]:
        return [text for of, text in self.texts if of == name]


def pdf_text(data: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages)


def test_the_html_is_as_it_was(whole: Sheet, golden: Callable[[str, str], None]) -> None:
    golden("snapshot.html", re.sub(r"base64,[^)]*\)", "base64,…)", as_html.file(whole)))


def test_the_text_of_the_pdf_is_as_it_was(made: Document, whole: Sheet, golden: Callable[[str, str], None]) -> None:
    golden("snapshot.pdf.txt", pdf_text(as_pdf.pdf(whole, made.taken_at)) + "\n")


def test_the_mail_is_as_it_was(whole: Sheet, golden: Callable[[str, str], None]) -> None:
    golden("snapshot.mail.txt", f"Subject: {as_mail.title(whole)}\n\n{as_mail.body(whole)}\n")


def test_numbers_are_equal_in_every_form(made: Document, whole: Sheet) -> None:
    document = json.loads(json.dumps(made.as_dict()))
    plain = [line for section in document["sections"] for line in section["lines"]]
    numbers = [line["text"] for line in plain]
    assert len(numbers) == 5 and "–" not in numbers
    for markup in (as_html.file(whole), as_html.body(whole, images=True)):
        read = Text(markup)
        assert read.of("num") == numbers == read.of("gv")
        points = [p["text"] for line in plain for p in (*line["weeks"], *line["months"])]
        assert read.of("td") == points and len(points) > 60
    text = pdf_text(as_pdf.pdf(whole, made.taken_at))
    origins = " ".join(text.split("Appendix: where the numbers come from")[1].split())
    for line, title in zip(plain, [c.title for c in whole.cells], strict=True):
        assert f"{line['text']} {line['change_text']}" in text
        own = re.split(rf"{re.escape(title)} (?=What it is:|How counted:)", origins)[1]
        for point in (*line["weeks"], *line["months"]):
            assert f"{point['name']} {point['text']} " in own, (title, point)
            own = own.split(f"{point['name']} ", 1)[1]
    rows = list(csv.DictReader(io.StringIO(as_csv(made))))
    heads = [row for row in rows if row["kind"] == "number"]
    assert [row["text"] for row in heads] == numbers
    assert [float(row["value"]) for row in heads] == [line["value"] for line in plain]
    for kind in ("week", "month"):
        listed = [(r["period"], float(r["value"]), r["text"]) for r in rows if r["kind"] == kind]
        assert listed == [(p["period"], p["value"], p["text"]) for line in plain for p in line[f"{kind}s"]]
    table = as_markdown(whole)
    assert all(f"| {line['text']} | {line['change_text']} | {line['status_label']} |" in table for line in plain)
    mail = Text(as_mail.html(whole, []))
    assert [t for t in mail.of("b") if t in numbers] == numbers
    assert all(f": {line['text']} (" in as_mail.body(whole) for line in plain)


def test_every_sentence_is_in_page_file_pdf_and_markdown(made: Document, whole: Sheet) -> None:
    said = [s.text for part in whole.parts for block in part.blocks for s in block.sentences]
    said += [whole.headline, whole.meta, *whole.summary, "The sale began on Friday.", *whole.footer]
    page, words = as_html.body(whole), " ".join(pdf_text(as_pdf.pdf(whole, made.taken_at)).split())
    shown = " ".join(" ".join(text for _, text in Text(page).texts).split())
    joined = words.replace(" ", "")  # a line may end behind the hyphen of 2026-W46
    for sentence in said:
        assert sentence in shown
        assert sentence.replace(" ", "") in joined
    assert "Mon 16 Nov 2026, 06:00" in words


def test_24_kpis_are_small_and_quick(made: Document) -> None:
    large, seconds = many(made), {}
    found = as_html.file(sheet(large, links=LINKS))  # what is read once for all is read here
    for name, form in (
        ("html", lambda: as_html.file(sheet(large, links=LINKS))),
        ("pdf", lambda: as_pdf.pdf(sheet(large, links=Links("", "No link."), notes=NOTES), large.taken_at)),
    ):
        tries = []
        for _ in range(3):
            started = time.process_time()  # not what others on the machine take
            form()
            tries.append(time.process_time() - started)
        seconds[name] = min(tries)
    assert len(found.encode()) < 150_000, len(found)
    assert seconds["html"] < 0.05, seconds
    assert seconds["pdf"] < 1.5, seconds


def test_the_file_needs_nothing_from_anywhere(whole: Sheet) -> None:
    found = as_html.file(whole)
    read = Text(found)
    assert set(read.tags) & {"script", "link", "iframe", "object", "img"} == set()
    addresses = re.findall(r"(?:https?:)?//[\w.-]+", re.sub(r"base64,[^)]*\)", "", found))
    assert set(addresses) == {"https://kpi.example"}  # the link
    assert "default-src 'none'" in found and found.count("font/woff2;base64,") == 2
    for form in FORMS.glob("*"):
        assert "@preview" not in form.read_text() and "@import url" not in form.read_text()


def test_the_pdf_is_a4_tagged_and_carries_its_fonts(made: Document, whole: Sheet) -> None:
    data = as_pdf.pdf(whole, made.taken_at)
    reader = PdfReader(io.BytesIO(data))
    assert {(round(float(p.mediabox.width)), round(float(p.mediabox.height))) for p in reader.pages} == {(595, 842)}
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] and "/StructTreeRoot" in root and root["/Lang"].startswith("en")
    assert b"pdfuaid" in data and reader.metadata is not None
    assert reader.metadata.title == "Shop · Shop in a week · 9–15 Nov 2026, week 46"
    pages: list[Any] = list(reader.pages)
    fonts = [font.get_object() for page in pages for font in page["/Resources"]["/Font"].values()]
    assert fonts and all("Inter" in str(font["/BaseFont"]) for font in fonts)
    for font in fonts:
        inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(inner["/FontDescriptor"].get_object())
    assert as_pdf.pdf(whole, made.taken_at) == data, "the same snapshot is the same file"


def test_no_kpi_breaks_over_two_pages(made: Document) -> None:
    large = many(made)
    whole = sheet(large, links=LINKS)
    pages = [" ".join(p.extract_text().split()) for p in PdfReader(io.BytesIO(as_pdf.pdf(whole, NOW))).pages]
    for part in whole.parts:
        for block in part.blocks:
            first, last = f"{block.cell.title} {block.cell.label}", block.sentences[-1].text  # in the details
            page = next(p for p in pages if first in p)
            assert last in page.split(first)[1], block.cell.title
        heading = next(n for n, p in enumerate(pages) if part.title in p)
        assert f"{part.blocks[0].cell.title} {part.blocks[0].cell.label}" in pages[heading], "a heading stands alone"


def test_pictures_have_their_size(made: Document, whole: Sheet) -> None:
    head = Image.open(io.BytesIO(as_pdf.header_png(whole)))
    assert head.size[0] == 1200 and 200 < head.size[1] < 1600 and sum(n > 0 for n in head.convert("L").histogram()) > 20
    drawn = {line.title: spark(line) for line in made.lines}
    assert [title for title, picture in drawn.items() if not picture] == [
        "Orders",
        "Orders · web",
    ]  # by day: 17, by week 169
    sparks = as_pdf.spark_pngs(list(filter(None, drawn.values())))
    assert len(sparks) == 3 and {Image.open(io.BytesIO(png)).size for png in sparks} == {(200, 60)}
    assert len(set(sparks)) == 3 and as_pdf.spark_pngs([]) == []


EVIL = [
    "<script>alert(1)</script>",
    "\u202eevil\u202d",
    "x" * 300,
    "😀 ünï 漢字 مرحبا שלום",
    "=cmd()",
    "a\r\nBcc: eve@evil.example",
    '#image("/etc/passwd") $1/0$ *b* _i_ `c` \\ @ref',
    "| a | b |\n# head",
    '"><img src=x onerror=alert(1)>',
    "&lt;b&gt;",
]


def quoted_(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@pytest.mark.slow
def test_hostile_names_are_only_names_in_every_form(project: Builder) -> None:
    rows = orders(END)
    rows["platform"] = [EVIL[n % len(EVIL)] for n in range(len(rows))]
    shop_of(project, snapshot="", settings="url: https://kpi.example\n")
    write(project, rows)
    text = (project.folder / "kpis" / "revenue.yml").read_text().removeprefix("name: revenue\n")
    for number, name in enumerate(EVIL):
        quoted = quoted_(name)
        body = re.sub(r"label: .*", lambda _: f"label: {quoted}", text, count=1)  # noqa: B023
        body = re.sub(r"owner: .*", lambda _: f"owner: {quoted}\ndescription: {quoted}", body, count=1)  # noqa: B023
        project.kpi(f"evil_{number}", body)
    project.sync(now=NOW)
    (project.folder / "snapshots").mkdir()
    kpis = ", ".join(f"evil_{n}, {{kpi: orders, where: {{platform: {quoted_(v)}}}}}" for n, v in enumerate(EVIL))
    section = f"{{title: {quoted_(EVIL[8])}, kpis: [{kpis}]}}"
    project.write("snapshots", "weekly", f"name: weekly\ntitle: {quoted_(EVIL[0])}\nsections: [{section}]\n")
    made = take_by_hand(project.open(), "", "", by=EVIL[5], now=NOW)
    assert len(list(made.lines)) == 20 and all(line.value is not None for line in made.lines)
    opened = project.open()
    whole = sheet_of(opened, made)
    assert all(len(c.title) <= 320 and "\u202e" not in c.title and "\n" not in c.title for c in whole.cells)
    for markup in (as_html.file(whole), as_html.body(whole, images=True), mail_preview(opened, made)):
        read = Text(markup)
        assert "script" not in read.tags and not {name for name, _ in read.attributes if name.startswith("on")}
        assert all(value.startswith(("data:image/", "cid:")) for name, value in read.attributes if name == "src")
        assert "<script>alert(1)</script>" in read.of("bdi")
    shown = " ".join(pdf_text(render(opened, made, "pdf")).replace("\u200b", "").split())
    assert "<script>alert(1)</script>" in shown and '#image("/etc/passwd") $1/0$ *b*' in shown and "=cmd()" in shown
    assert "x" * 60 in shown.replace(" ", "")
    assert render(opened, made, "png").startswith(b"\x89PNG")
    marked = render(opened, made, "markdown").decode()
    assert "<script>" not in marked and "\n# head" not in marked and "| a | b |" not in marked
    cells = [cell for row in csv.reader(io.StringIO(render(opened, made, "csv").decode())) for cell in row]
    assert "'=cmd()" in cells and not [c for c in cells if c.startswith(("=", "+", "@", "\t"))]
    message = as_mail.title(whole)
    assert "\n" not in message and "\r" not in message


def test_render_writes_every_form(shop: Builder, tmp_path: Path) -> None:
    take(shop)
    starts = {
        "html": b"<!doctype html>",
        "pdf": b"%PDF-",
        "png": b"\x89PNG",
        "markdown": b"# ",
        "csv": b"snapshot,",
        "json": b"{",
        "mail": b"<!doctype html>",
    }
    for form, start in starts.items():
        path = tmp_path / f"week.{form}"
        done = kpi(shop, "snapshot", "render", "--format", form, "--output", str(path))
        assert done.exit_code == 0 and path.read_bytes().startswith(start), done.output


def test_what_was_restated_is_in_the_forms_that_are_made_later(shop: Builder) -> None:
    take(shop)
    write(shop, orders(END, seed=9))
    shop.sync(now=NOW)
    for form in ("html", "markdown"):
        text = kpi(shop, "snapshot", "render", "--format", form).stdout
        assert "Restated since" in text and "late data" in text and "Revenue" in text
    assert "Restated since" not in kpi(shop, "snapshot", "show").stdout
