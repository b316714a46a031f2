SELECT
  CAST(DATE_TRUNC('WEEK', "at") AS TIMESTAMP) AS __period,
  '' AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM "orders"
WHERE
  (
    "at" >= CAST('2025-08-04 00:00:00' AS TIMESTAMP)
    AND "at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
  )
  AND (
    paid AND amount > 8
  )
GROUP BY
  1,
  2;

SELECT
  CAST(DATE_TRUNC('WEEK', "at") AS TIMESTAMP) AS __period,
  '' AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM "orders"
WHERE
  "at" >= CAST('2025-08-04 00:00:00' AS TIMESTAMP)
  AND "at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;
