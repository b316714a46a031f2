WITH cte__rows_of_all AS (
  SELECT
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS segment,
    CAST(DATE_TRUNC('DAY', CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)) AS TIMESTAMP) AS period,
    amount AS picked,
    ROW_NUMBER() OVER (
      PARTITION BY user_id, CAST(DATE_TRUNC('DAY', CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)) AS TIMESTAMP)
      ORDER BY CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) DESC, "event_id" DESC
    ) AS nth,
    CASE WHEN TRUE THEN 1 END AS asked
  FROM "events"
  WHERE
    (
      CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
      AND CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
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
