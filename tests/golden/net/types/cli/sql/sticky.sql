WITH cte__active AS (
  SELECT DISTINCT
    '' AS segment,
    "user_id" AS entity,
    CAST((
      DATE_TRUNC(
        'WEEK',
        (
          (
            (
              "at"
            ) AT TIME ZONE 'UTC'
          ) AT TIME ZONE 'America/New_York'
        ) - INTERVAL '6' DAY
      )
    ) + INTERVAL '6' DAY AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS short
  FROM "events"
  WHERE
    (
      (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-26 00:00:00' AS TIMESTAMP)
      AND (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York' < CAST('2026-11-29 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
)
SELECT
  segment AS __segment,
  period AS __period,
  COUNT(*) AS numerator,
  COUNT(DISTINCT entity) AS denominator,
  COUNT(DISTINCT entity) AS n
FROM cte__active
GROUP BY
  segment,
  period;
