WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at")) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at")) AS TIMESTAMP) AS short
  FROM "events"
  WHERE
    (
      CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") >= CAST('2026-09-28 00:00:00' AS TIMESTAMP)
      AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") < CAST('2026-11-09 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
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
