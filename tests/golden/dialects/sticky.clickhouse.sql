WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'WEEK',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    CAST(dateTrunc(
      'DAY',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS short
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
  COUNT(*) AS numerator,
  COUNT(DISTINCT entity) AS denominator,
  COUNT(DISTINCT entity) AS n
FROM cte__active
GROUP BY
  segment,
  period
