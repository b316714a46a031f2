"""Jira, Export CSV: a row for each issue; a field with several values has several columns."""

from __future__ import annotations

from jobs.authoring.exports.contract import Export, Part, count, ratio, typical
from jobs.authoring.proposal import measure

BUG = "lower({Issue Type}) = 'bug'"


class JiraIssues(Export):
    """Issues, by when they were created; those that are resolved, by when they were."""

    title = "Jira issues export"
    needed = ("Issue key", "Issue Type", "Status", "Created")
    time = ("Created",)
    rows = "Issues created"
    key = "Issue key"
    dimensions = ("Issue Type", "Status", "Priority", "Project name|Project key", "Assignee", "Resolution")
    parts = (Part("resolved", "{Resolved}", "{Resolved} IS NOT NULL"),)
    templates = (
        count("issues_resolved", "Issues resolved", "Issues, by when they were resolved.", dataset="resolved"),
        typical(
            "days_to_resolve",
            "Days to resolve",
            "Median days from created to resolved, of issues resolved.",
            "median",
            "date_diff('hour', {Created}, {Resolved}) / 24.0",
            dataset="resolved",
            direction="down_is_good",
            format_="0.0",
        ),
        count("bugs_created", "Bugs created", "Issues of type Bug.", BUG, direction="down_is_good"),
        ratio(
            "bug_share",
            "Bug share",
            "Bugs, of all issues created.",
            measure("count", condition=BUG),
            measure("count"),
            direction="down_is_good",
        ),
        typical(
            "story_points",
            "Story points",
            "Mean story points of an issue that has them.",
            "avg",
            "{Story Points|Custom field (Story Points)|Custom field (Story point estimate)}",
            format_="0.0",
        ),
    )
