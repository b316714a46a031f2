"""Google Play Console, installs report: numbers of each day, maybe by country, device or version."""

from __future__ import annotations

from jobs.authoring.exports.contract import Export, ratio, total
from jobs.authoring.proposal import measure

INSTALLED, REMOVED = "{Daily User Installs|Daily Device Installs}", "{Daily User Uninstalls|Daily Device Uninstalls}"


class GooglePlayInstalls(Export):
    """Daily installs add up; active devices are what there is on a day."""

    title = "Google Play installs report"
    needed = ("Date", "Package Name", "Daily Device Installs|Daily User Installs")
    time = ("Date",)
    rows = "Report rows"
    rows_first = False
    dimensions = ("Package Name", "Country", "Device", "App Version Code", "Language", "Carrier", "Android OS Version")
    templates = (
        total("installs", "Installs", "Users who installed the app on a day and had it on no other device.", INSTALLED),
        total(
            "uninstalls",
            "Uninstalls",
            "Users who removed it from all of their devices.",
            REMOVED,
            direction="down_is_good",
        ),
        total("net_installs", "Net installs", "Installs less uninstalls.", f"{INSTALLED} - {REMOVED}"),
        total(
            "active_devices",
            "Active devices",
            "Devices that have the app, on the last day of a longer period.",
            "{Active Device Installs}",
            grain="day",
            period_agg="last",
        ),
        ratio(
            "uninstalls_per_install",
            "Uninstalls per install",
            "Uninstalls of a period, per install of the same.",
            measure("sum", REMOVED),
            measure("sum", INSTALLED),
            direction="down_is_good",
        ),
        total("updates", "Updates", "Devices that were updated.", "{Update events|Daily Device Upgrades}"),
    )
