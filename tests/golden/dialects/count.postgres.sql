SELECT
  CAST(DATE_TRUNC('DAY', (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'Europe/Berlin') AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS TEXT), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM "events"
WHERE
  (
    (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'Europe/Berlin' >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
    AND (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'Europe/Berlin' < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
  )
  AND kind = 'buy'
GROUP BY
  1,
  2
