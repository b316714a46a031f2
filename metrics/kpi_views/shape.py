"""What a type shows besides its line: a funnel's steps, a triangle, gains and losses, groups and words."""

from __future__ import annotations

from metrics.catalog.models.kpi import Funnel, KpiCommon, Lifecycle, Retention, Survey
from metrics.engine.data_context import World
from metrics.engine.query import Filter, Series
from metrics.kpi_views.funnel import FunnelShape, funnel_shape
from metrics.kpi_views.lifecycle import LifecycleShape, lifecycle_shape
from metrics.kpi_views.retention import RetentionShape, retention_shape
from metrics.kpi_views.survey import SurveyShape, survey_shape

Shape = FunnelShape | RetentionShape | LifecycleShape | SurveyShape


def shape_of(
    world: World, kpi: KpiCommon, series: Series, where: tuple[Filter, ...] = (), who: str = ""
) -> Shape | None:
    """The shape of a series by its KPI's type; None where the line says it all, or where `period_agg` left no parts."""
    if not any(isinstance(parts, tuple) for parts in series.frame["parts"]):
        return None
    if isinstance(kpi, Funnel):
        return funnel_shape(series)
    if isinstance(kpi, Retention):
        return retention_shape(kpi, series)
    if isinstance(kpi, Lifecycle):
        return lifecycle_shape(series)
    if isinstance(kpi, Survey):
        return survey_shape(world, kpi, series, where, who)
    return None
