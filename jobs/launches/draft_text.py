"""The text of a draft's file, key by key: what a person changed is told from what was written by its lines alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

KEY = re.compile(r"([A-Za-z_]\w*):")
HEAD = (
    "# Drafted from a release or a flag. It follows what the vendor says, but for the keys that you change.\n"
    "# Take `draft: true` out and it is a launch; delete the file and it is not made again.\n"
)
IS_DRAFT = re.compile(r"draft:[ \t]+true\b")
Written = Mapping[str, str]  # key → its lines


@dataclass(frozen=True)
class Merged:
    """A text, and the keys of it that differ from what would be written, since a person changed them.

    written: what to remember: of keys that a person changed, what was written before they did.
    """

    text: str
    kept: tuple[str, ...]
    written: Written


def whole(written: Written) -> str:
    """A new file."""
    return HEAD + "".join(written.values())


def is_draft(text: str) -> bool:
    """Whether nobody has made a launch of it."""
    return bool(IS_DRAFT.match(dict(_blocks(text)).get("draft", "")))


def untouched(text: str, written: Written) -> bool:
    """Whether nobody changed anything since it was written."""
    return sorted(_blocks(text)) == sorted([("", HEAD), *written.items()])


def merged(text: str, was: Written, now: Written) -> Merged:
    """A file's text with what changed since it was written last. A key whose lines are not those is a person's."""
    if untouched(text, was):
        return Merged(whole(now), (), dict(now))
    blocks = _blocks(text)
    found = dict(blocks)
    kept, done = list[str](), dict(was)
    for key in dict.fromkeys((*was, *now)):
        old, new = was.get(key), now.get(key)
        if old == new:
            continue
        if found.get(key) != old:
            kept += [key] if found.get(key) != new else []
            continue
        done.pop(key, None)
        if new is None:
            blocks = [block for block in blocks if block[0] != key]
        elif old is None:
            blocks = [*_ended(blocks), (key, new)]
        else:
            blocks = [(key, new) if block[0] == key else block for block in blocks]
        if new is not None:
            done[key] = new
    ordered = {key: done[key] for key in dict.fromkeys((*now, *done)) if key in done}
    return Merged("".join(lines for _, lines in blocks), tuple(kept), ordered)


def _blocks(text: str) -> list[tuple[str, str]]:
    """The text in pieces: each top-level key with its lines; comments and blank lines after it apart, under no key."""
    blocks: list[tuple[str, str]] = []
    for line in text.splitlines(keepends=True):
        key = KEY.match(line)
        apart = not line.strip() or line.startswith(("#", "%", "---"))
        if key:
            blocks.append((key[1], line))
        elif not blocks or (apart and blocks[-1][0]):
            blocks.append(("", line))
        else:
            if not apart and not blocks[-1][0] and len(blocks) > 1:  # the key before goes on: it was inside
                blocks[-2:] = [(blocks[-2][0], blocks[-2][1] + blocks[-1][1])]
            blocks[-1] = (blocks[-1][0], blocks[-1][1] + line)
    return blocks


def _ended(blocks: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """With a line break at the very end, so that a key can follow."""
    if blocks and not blocks[-1][1].endswith("\n"):
        return [*blocks[:-1], (blocks[-1][0], blocks[-1][1] + "\n")]
    return blocks
