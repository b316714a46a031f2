SELECT
  CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS STRING), '(none)') AS __segment,
  SUM(amount) AS __value,
  COUNT(amount) AS n
FROM `events`
WHERE
  CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
  AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

SELECT
  CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS STRING), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM `answers`
WHERE
  CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
  AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
