SELECT
  CAST(DATE_TRUNC('DAY', CAST("started_on" AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  '' AS __segment,
  SUM(mrr) AS __value,
  COUNT(mrr) AS n
FROM "subscriptions"
WHERE
  CAST("started_on" AS TIMESTAMP) >= CAST('2025-10-01 00:00:00' AS TIMESTAMP)
  AND CAST("started_on" AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

-- by the first dimension;

SELECT
  CAST(DATE_TRUNC('DAY', CAST("started_on" AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  COALESCE(CAST(plan AS TEXT), '(none)') AS __segment,
  SUM(mrr) AS __value,
  COUNT(mrr) AS n
FROM "subscriptions"
WHERE
  CAST("started_on" AS TIMESTAMP) >= CAST('2025-10-01 00:00:00' AS TIMESTAMP)
  AND CAST("started_on" AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
