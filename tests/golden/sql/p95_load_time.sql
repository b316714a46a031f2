SELECT
  CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS __period,
  '' AS __segment,
  QUANTILE_CONT(load_seconds, 0.95) AS __value,
  COUNT(load_seconds) AS n
FROM "sessions"
WHERE
  "started_at" >= CAST('2025-10-24 00:00:00' AS TIMESTAMP)
  AND "started_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

-- by the first dimension;

SELECT
  CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS TEXT), '(none)') AS __segment,
  QUANTILE_CONT(load_seconds, 0.95) AS __value,
  COUNT(load_seconds) AS n
FROM "sessions"
WHERE
  "started_at" >= CAST('2025-10-24 00:00:00' AS TIMESTAMP)
  AND "started_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
