WITH cte__seen AS (
  SELECT
    COALESCE(CAST(platform AS STRING), '(none)') AS segment,
    user_id AS entity,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), MONTH) AS DATETIME) AS running,
    MIN(
      CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME)
    ) AS day
  FROM `events`
  WHERE
    (
      DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') >= CAST('2026-10-01 00:00:00' AS DATETIME)
      AND DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') < CAST('2026-11-05 00:00:00' AS DATETIME)
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
