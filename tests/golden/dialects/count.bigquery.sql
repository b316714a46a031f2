SELECT
  CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME) AS __period,
  COALESCE(CAST(platform AS STRING), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM `events`
WHERE
  (
    DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') >= CAST('2026-10-01 00:00:00' AS DATETIME)
    AND DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') < CAST('2026-11-05 00:00:00' AS DATETIME)
  )
  AND kind = 'buy'
GROUP BY
  1,
  2
