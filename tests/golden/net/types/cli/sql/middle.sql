SELECT
  CAST(DATE_TRUNC('DAY', (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS __period,
  '' AS __segment,
  QUANTILE_CONT(amount, 0.5) AS __value,
  COUNT(amount) AS n
FROM "events"
WHERE
  (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'America/New_York' >= CAST('2026-08-01 00:00:00' AS TIMESTAMP)
  AND (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'America/New_York' < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;
