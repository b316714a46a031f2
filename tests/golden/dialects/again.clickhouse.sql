WITH cte__cohort AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS start_on
  FROM "events"
  WHERE
    (
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-28 00:00:00' AS Nullable(DateTime64(6)))
      AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-09 00:00:00' AS Nullable(DateTime64(6)))
    )
    AND NOT (
      (
        "user_id"
      ) IS NULL
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

WITH cte__cohort AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS start_on
  FROM "events"
  WHERE
    (
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-28 00:00:00' AS Nullable(DateTime64(6)))
      AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-09 00:00:00' AS Nullable(DateTime64(6)))
    )
    AND NOT (
      (
        "user_id"
      ) IS NULL
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
      (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-27 00:00:00' AS Nullable(DateTime64(6)))
        AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-12-21 00:00:00' AS Nullable(DateTime64(6)))
      )
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
    cte__returns.back_on
  FROM cte__cohort
  JOIN cte__returns
    ON cte__returns.entity = cte__cohort.entity
    AND cte__returns.back_on > cte__cohort.start_on
  WHERE
    cte__returns.back_on < cte__cohort.start_on + INTERVAL '35' DAY
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
