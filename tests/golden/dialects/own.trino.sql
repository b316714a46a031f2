WITH dataset__events AS (
  SELECT
    *
  FROM "events"
)
SELECT
  CAST(DATE_TRUNC('DAY', CAST(given.period AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  '' AS __segment,
  SUM(given.value) AS __value
FROM (
  SELECT
    DATE_TRUNC('DAY', "at") AS period,
    platform,
    COUNT(*) AS value
  FROM dataset__events AS events
  GROUP BY
    DATE_TRUNC('DAY', "at"),
    platform
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
