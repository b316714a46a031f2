"""Zendesk, tickets: CSV of a view or of an export, or JSON of the API."""

from __future__ import annotations

from jobs.authoring.exports.contract import Export, Part, count, ratio, typical
from jobs.authoring.proposal import measure

SCORE = "lower({Satisfaction Score|satisfaction_rating_score})"


class ZendeskTickets(Export):
    """Tickets, by when they were created; those that are solved, by when they were."""

    title = "Zendesk tickets export"
    needed = (
        "Id|Ticket ID",
        "Created at",
        "Status",
        "Satisfaction Score|satisfaction_rating_score|Requester id",
        "Subject|Requester|Requester id",
    )
    time = ("Created at",)
    rows = "Tickets"
    entity = ("Requester id", "Requester", "Requester email")
    key = "Id|Ticket ID"
    dimensions = ("Status", "Group", "Priority", "Via|via_channel", "Ticket type|type", "Assignee")
    parts = (Part("solved", "{Solved at}", "{Solved at} IS NOT NULL"),)
    templates = (
        ratio(
            "csat",
            "CSAT",
            "Good ratings, of good and bad ones.",
            measure("count", condition=f"{SCORE} LIKE 'good%'"),
            measure("count", condition=f"{SCORE} LIKE 'good%' OR {SCORE} LIKE 'bad%'"),
        ),
        typical(
            "first_reply_hours",
            "Hours to first reply",
            "Median hours to the first reply, of tickets created.",
            "median",
            "{First reply time in minutes} / 60.0",
            direction="down_is_good",
            format_="0.0",
        ),
        typical(
            "resolution_hours",
            "Hours to resolution",
            "Median hours to the full resolution, of tickets created.",
            "median",
            "{Full resolution time in minutes} / 60.0",
            direction="down_is_good",
            format_="0.0",
        ),
        count("solved_tickets", "Solved tickets", "Tickets, by when they were solved.", dataset="solved"),
        ratio(
            "reopened",
            "Reopened",
            "Tickets that were opened again.",
            measure("count", condition="{Reopens} > 0"),
            measure("count"),
            direction="down_is_good",
        ),
    )
