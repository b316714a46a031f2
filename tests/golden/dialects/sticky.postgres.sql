WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS TEXT), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'Europe/Berlin') AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'Europe/Berlin') AS TIMESTAMP) AS short
  FROM "events"
  WHERE
    (
      (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'Europe/Berlin' >= CAST('2026-09-28 00:00:00' AS TIMESTAMP)
      AND (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'Europe/Berlin' < CAST('2026-11-09 00:00:00' AS TIMESTAMP)
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
