"""For whom a launch did what it did, in words: the same on the page, in exports and in numbers for the command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectors.errors import counted
from metrics.catalog.models.kpi import KpiCommon
from metrics.launches import words
from metrics.launches.effects_by_segment import EffectsBySegment, SegmentEffect
from metrics.launches.reading import rounded
from metrics.presentation import format as fmt

RARE = 0.001
HOW = (
    "Each segment is drawn towards all of them, as far as its own noise is larger than what they differ by: the "
    "largest and the smallest effect are mostly those of few people."
)


@dataclass(frozen=True)
class SegmentRow:
    """One segment. part: of the rows. drawn, alone: its effect with interval."""

    segment: str
    part: str
    drawn: str
    alone: str


@dataclass(frozen=True)
class SegmentsBlock:
    """One KPI by one dimension. said: whether segments differ. left_out: what was not read; empty = all were."""

    title: str
    dimension: str
    said: str
    rows: tuple[SegmentRow, ...]
    left_out: str
    differ: bool


def segments_blocks(
    kpi: KpiCommon, found: tuple[EffectsBySegment, ...], *, relative: bool
) -> tuple[SegmentsBlock, ...]:
    """Of each dimension, in order. relative: effects are shares."""
    return tuple(_block(kpi, one, len(found), relative=relative) for one in found)


def looked(blocks: tuple[SegmentsBlock, ...]) -> str:
    """How many segments were looked at, and what that means; empty for none."""
    looks = sum(len(block.rows) for block in blocks)
    if not looks:
        return ""
    return (
        f"{HOW} {counted(looks, 'segment')} were looked at: of segments without any effect one in twenty looks clear "
        "by chance when it is read alone."
    )


def segments_line(blocks: tuple[SegmentsBlock, ...]) -> str:
    """Of several: where the effect differs, or that it does so nowhere."""
    differ = [f"{block.title} by {block.dimension}" for block in blocks if block.differ]
    if not differ:
        return "No sign that it did more for some than for others"
    return f"The effect differs: {', '.join(differ)}"


def as_numbers(found: tuple[EffectsBySegment, ...]) -> list[dict[str, Any]]:
    """For JSON."""

    def plain(effect: tuple[float, float, float]) -> dict[str, float]:
        return dict(zip(("effect", "low", "high"), map(rounded, effect), strict=True))

    return [
        {
            "dimension": one.dimension,
            "differ": one.differ,
            "p": rounded(one.p),
            "left_out": one.left_out,
            "segments": [
                {"segment": row.segment, "part": rounded(row.part), **plain(row.drawn), "alone": plain(row.alone)}
                for row in one.effects
            ],
        }
        for one in found
    ]


def _block(kpi: KpiCommon, one: EffectsBySegment, dimensions: int, *, relative: bool) -> SegmentsBlock:
    name = one.dimension.replace("_", " ")
    often = "less than 0.1%" if one.p < RARE else fmt.share_text(one.p)
    chance = f"segments that do not differ look so different {often} of the time"
    said = f"The effect differs by {name}" if one.differ else f"No sign that the effect differs by {name}"
    said = f"{said}: {chance}{f', and {dimensions} dimensions were looked at' if dimensions > 1 else ''}."
    left = f"{counted(one.left_out, 'more segment')} {'is' if one.left_out == 1 else 'are'} too small to be read."
    rows = tuple(_row(kpi, row, relative=relative) for row in one.effects)
    return SegmentsBlock(kpi.title, name, said, rows, left if one.left_out else "", one.differ)


def _row(kpi: KpiCommon, row: SegmentEffect, *, relative: bool) -> SegmentRow:
    def told(effect: tuple[float, float, float]) -> str:
        middle, low, high = words.amounts(kpi, effect, relative=relative)
        return f"{middle} ({words.bare(low)} to {words.bare(high)})"

    return SegmentRow(row.segment, fmt.share_text(row.part), told(row.drawn), told(row.alone))
