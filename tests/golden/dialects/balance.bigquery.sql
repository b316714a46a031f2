WITH cte__rows_of_all AS (
  SELECT
    COALESCE(CAST(platform AS STRING), '(none)') AS segment,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME) AS period,
    amount AS picked,
    ROW_NUMBER() OVER (
      PARTITION BY user_id, CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME)
      ORDER BY DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') DESC, `event_id` DESC
    ) AS nth,
    CASE WHEN TRUE THEN 1 END AS asked
  FROM `events`
  WHERE
    (
      DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') >= CAST('2026-10-01 00:00:00' AS DATETIME)
      AND DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') < CAST('2026-11-05 00:00:00' AS DATETIME)
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
