SELECT
  CAST(DATE_TRUNC('WEEK', (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'Europe/Berlin') AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS TEXT), '(none)') AS __segment,
  PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
    amount) AS __value,
  COUNT(amount) AS n
FROM "events"
WHERE
  (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'Europe/Berlin' >= CAST('2026-09-28 00:00:00' AS TIMESTAMP)
  AND (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'Europe/Berlin' < CAST('2026-11-09 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
