WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS STRING), '(none)') AS segment,
    `user_id` AS entity,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), WEEK) AS DATETIME) AS period,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME) AS short
  FROM `events`
  WHERE
    (
      DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') >= CAST('2026-09-28 00:00:00' AS DATETIME)
      AND DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') < CAST('2026-11-09 00:00:00' AS DATETIME)
    )
    AND NOT (
      `user_id`
    ) IS NULL
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
