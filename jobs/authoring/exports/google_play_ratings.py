"""Google Play Console, ratings report: the average of each day and of all time."""

from __future__ import annotations

from jobs.authoring.exports.contract import Export, typical


class GooglePlayRatings(Export):
    """Averages without a number of ratings: they are not added up, nor weighted."""

    title = "Google Play ratings report"
    needed = ("Date", "Package Name", "Daily Average Rating", "Total Average Rating")
    time = ("Date",)
    rows = "Report rows"
    rows_first = False
    dimensions = ("Package Name", "Country", "Device", "App Version Code", "Language", "Carrier", "Android OS Version")
    templates = (
        typical(
            "rating",
            "Rating",
            "Average of all ratings up to a day; a longer period has that of its last day.",
            "avg",
            "{Total Average Rating}",
            grain="day",
            period_agg="last",
        ),
        typical(
            "daily_rating",
            "Rating of the day",
            "Average of the ratings that were given on a day; the report does not say how many, so days count alike.",
            "avg",
            "{Daily Average Rating}",
        ),
    )
