SELECT
  CAST(DATE_TRUNC('WEEK', "signed_up_at") AS TIMESTAMP) AS __period,
  '' AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM "users"
WHERE
  "signed_up_at" >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND "signed_up_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

-- by the first dimension;

SELECT
  CAST(DATE_TRUNC('WEEK', "signed_up_at") AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS TEXT), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM "users"
WHERE
  "signed_up_at" >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND "signed_up_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
