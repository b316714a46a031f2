WITH cte__seen AS (
  SELECT
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS segment,
    user_id AS entity,
    CAST(DATE_TRUNC(
      'MONTH',
      CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)
    ) AS TIMESTAMP) AS running,
    MIN(
      CAST(DATE_TRUNC('DAY', CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)) AS TIMESTAMP)
    ) AS day
  FROM "events"
  WHERE
    (
      CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
      AND CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
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
