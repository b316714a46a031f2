WITH cte__rows_of_all AS (
  SELECT
    '' AS segment,
    CAST(DATE_TRUNC('DAY', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS period,
    amount AS picked,
    ROW_NUMBER() OVER (
      PARTITION BY user_id, CAST(DATE_TRUNC('DAY', (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York') AS TIMESTAMP)
      ORDER BY (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York' DESC, "event_id" DESC
    ) AS nth,
    CASE WHEN TRUE THEN 1 END AS asked
  FROM "events"
  WHERE
    (
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
  segment;
