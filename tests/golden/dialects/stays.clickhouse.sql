WITH cte__starts AS (
  SELECT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS start_on,
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY "at", "event_id") AS nth
  FROM "signups"
  WHERE
    NOT (
      (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
      ) IS NULL
    )
    AND NOT (
      (
        "user_id"
      ) IS NULL
    )
), cte__cohort AS (
  SELECT
    segment,
    entity,
    period,
    start_on
  FROM cte__starts
  WHERE
    (
      nth = 1 AND asked = 1
    )
    AND (
      start_local >= CAST('2026-09-28 00:00:00' AS Nullable(DateTime64(6)))
      AND start_local < CAST('2026-11-09 00:00:00' AS Nullable(DateTime64(6)))
    )
)
SELECT
  segment AS __segment,
  period AS __period,
  COUNT(*) AS n
FROM cte__cohort
GROUP BY
  segment,
  period;

WITH cte__starts AS (
  SELECT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS start_on,
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY "at", "event_id") AS nth
  FROM "signups"
  WHERE
    NOT (
      (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
      ) IS NULL
    )
    AND NOT (
      (
        "user_id"
      ) IS NULL
    )
), cte__cohort AS (
  SELECT
    segment,
    entity,
    period,
    start_on
  FROM cte__starts
  WHERE
    (
      nth = 1 AND asked = 1
    )
    AND (
      start_local >= CAST('2026-09-28 00:00:00' AS Nullable(DateTime64(6)))
      AND start_local < CAST('2026-11-09 00:00:00' AS Nullable(DateTime64(6)))
    )
), cte__returns AS (
  SELECT DISTINCT
    "user_id" AS entity,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS back_on
  FROM "events"
  WHERE
    (
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-27 00:00:00' AS Nullable(DateTime64(6)))
      AND NOT (
        (
          "user_id"
        ) IS NULL
      )
    )
    AND "user_id" IN (
      SELECT
        entity
      FROM cte__cohort
    )
), cte__pairs AS (
  SELECT
    cte__cohort.segment,
    cte__cohort.period,
    cte__cohort.entity,
    cte__cohort.start_on,
    MAX(cte__returns.back_on) AS back_on
  FROM cte__cohort
  JOIN cte__returns
    ON cte__returns.entity = cte__cohort.entity
    AND cte__returns.back_on > cte__cohort.start_on
  GROUP BY
    1,
    2,
    3,
    4
)
SELECT
  segment AS __segment,
  period AS __period,
  start_on,
  back_on,
  COUNT(*) AS entries
FROM cte__pairs
GROUP BY
  segment,
  period,
  start_on,
  back_on
