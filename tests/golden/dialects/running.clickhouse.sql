WITH cte__seen AS (
  SELECT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    user_id AS entity,
    CAST(dateTrunc(
      'MONTH',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS running,
    MIN(
      CAST(dateTrunc(
        'DAY',
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
      ) AS Nullable(DateTime64(6)))
    ) AS day
  FROM "events"
  WHERE
    (
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
      AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
    )
    AND NOT (
      (
        user_id
      ) IS NULL
    )
  GROUP BY
    1,
    2,
    3
)
SELECT
  segment AS __segment,
  day AS __period,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM cte__seen
GROUP BY
  segment,
  day
