SELECT
  CAST(DATE_TRUNC('DAY', "opened_at") AS TIMESTAMP) AS __period,
  '' AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM "tickets"
WHERE
  "opened_at" >= CAST('2025-10-24 00:00:00' AS TIMESTAMP)
  AND "opened_at" < CAST('2026-11-20 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

SELECT
  CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS __period,
  '' AS __segment,
  COUNT(DISTINCT user_id) AS __value,
  COUNT(DISTINCT user_id) AS n
FROM "sessions"
WHERE
  "started_at" >= CAST('2025-10-24 00:00:00' AS TIMESTAMP)
  AND "started_at" < CAST('2026-11-20 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

-- by the first dimension;

SELECT
  CAST(DATE_TRUNC('DAY', "opened_at") AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS TEXT), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM "tickets"
WHERE
  "opened_at" >= CAST('2025-10-24 00:00:00' AS TIMESTAMP)
  AND "opened_at" < CAST('2026-11-20 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

SELECT
  CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS TEXT), '(none)') AS __segment,
  COUNT(DISTINCT user_id) AS __value,
  COUNT(DISTINCT user_id) AS n
FROM "sessions"
WHERE
  "started_at" >= CAST('2025-10-24 00:00:00' AS TIMESTAMP)
  AND "started_at" < CAST('2026-11-20 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
