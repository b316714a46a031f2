WITH cte__seen AS (
  SELECT
    '' AS segment,
    user_id AS entity,
    0 AS running,
    MIN(
      CAST(DATE_TRUNC('DAY', (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York') AS TIMESTAMP)
    ) AS day
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
  GROUP BY
    1,
    2,
    3
)
SELECT
  segment AS __segment,
  day AS __period,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM cte__seen
GROUP BY
  segment,
  day;
