WITH cte__rows_of_all AS (
  SELECT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    CAST(dateTrunc(
      'DAY',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    amount AS picked,
    ROW_NUMBER() OVER (
      PARTITION BY user_id, CAST(dateTrunc(
        'DAY',
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
      ) AS Nullable(DateTime64(6)))
      ORDER BY toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') DESC, "event_id" DESC
    ) AS nth,
    CASE WHEN TRUE THEN 1 END AS asked
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
)
SELECT
  period AS __period,
  segment AS __segment,
  SUM(picked) AS __value,
  COUNT(picked) AS n
FROM cte__rows_of_all
WHERE
  nth = 1 AND asked = 1
GROUP BY
  period,
  segment
