SELECT
  CAST(DATE_TRUNC('WEEK', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at")) AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS VARCHAR), '(none)') AS __segment,
  PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
    amount) AS __value,
  COUNT(amount) AS n
FROM "events"
WHERE
  CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") >= CAST('2026-09-28 00:00:00' AS TIMESTAMP)
  AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") < CAST('2026-11-09 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
