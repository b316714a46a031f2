"""The number of a KPI, large, with what it is compared with."""

from __future__ import annotations

from metrics.kpi_views.card import Card
from ui.shell.theme import html, text


def hero(card: Card) -> None:
    """Value with its period and status; change; target; owner."""
    change = f"<span class='bw-{card.change_is}'>{text(card.change)}</span>" if card.change else "–"
    html(f"""<div class="bw-hero">
<div><p class="bw-label">{text(card.period)}</p><p class="bw-number" data-testid="kpi-value">{text(card.value)}</p>
<ul class="bw-chips"><li class="bw-chip bw-{card.status.slug}">{text(card.status.label)}</li></ul>
<p class="bw-note">{text(card.status.why)}</p></div>
<div><p class="bw-label">Change</p><p class="bw-fact">{change}</p><p class="bw-note">{text(card.against)}</p></div>
<div><p class="bw-label">Target</p><p class="bw-fact">{text(card.target.removeprefix("Target ") or "–")}</p>
<p class="bw-note">{text(card.gap or "none is stated")}</p></div>
<div><p class="bw-label">Owner</p><p class="bw-fact bw-owner">{text(card.owner.split("@")[0] or "–")}</p>
<p class="bw-note">{text(card.owner)}</p></div>
</div>""")
