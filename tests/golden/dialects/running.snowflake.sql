WITH cte__seen AS (
  SELECT
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS segment,
    user_id AS entity,
    CAST(DATE_TRUNC('MONTH', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at")) AS TIMESTAMP) AS running,
    MIN(
      CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at")) AS TIMESTAMP)
    ) AS day
  FROM "events"
  WHERE
    (
      CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
      AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      user_id
    ) IS NULL
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
