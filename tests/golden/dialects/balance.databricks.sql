WITH cte__rows_of_all AS (
  SELECT
    COALESCE(CAST(platform AS STRING), '(none)') AS segment,
    CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS period,
    amount AS picked,
    ROW_NUMBER() OVER (
      PARTITION BY user_id, CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP)
      ORDER BY CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) DESC, `event_id` DESC
    ) AS nth,
    CASE WHEN TRUE THEN 1 END AS asked
  FROM `events`
  WHERE
    (
      CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
      AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      user_id
    ) IS NULL
)
SELECT
  period AS __period,
  segment AS __segment,
  SUM(picked) AS __value,
  COUNT(picked) AS n
FROM cte__rows_of_all
WHERE
  nth = 1 AND asked = 1
GROUP BY
  period,
  segment
