WITH dataset__events AS (
  SELECT
    *
  FROM `events`
)
SELECT
  CAST(TIMESTAMP_TRUNC(CAST(given.period AS DATETIME), DAY) AS DATETIME) AS __period,
  '' AS __segment,
  SUM(given.value) AS __value
FROM (
  SELECT
    TIMESTAMP_TRUNC(`at`, DAY) AS period,
    platform,
    COUNT(*) AS value
  FROM dataset__events AS events
  GROUP BY
    TIMESTAMP_TRUNC(`at`, DAY),
    platform
) AS given
WHERE
  CAST(given.period AS DATETIME) >= CAST('2026-10-01 00:00:00' AS DATETIME)
  AND CAST(given.period AS DATETIME) < CAST('2026-11-05 00:00:00' AS DATETIME)
GROUP BY
  1,
  2
