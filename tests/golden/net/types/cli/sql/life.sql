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
    ) + INTERVAL '6' DAY AS TIMESTAMP) AS period
  FROM "events"
  WHERE
    (
      (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York' < CAST('2026-11-29 00:00:00' AS TIMESTAMP)
      AND NOT (
        "user_id"
      ) IS NULL
    )
    AND kind <> 'rest'
), cte__around AS (
  SELECT
    segment,
    period,
    LAG(period) OVER (PARTITION BY segment, entity ORDER BY period) AS earlier,
    LEAD(period) OVER (PARTITION BY segment, entity ORDER BY period) AS later,
    period + INTERVAL '7' DAY AS following,
    period + INTERVAL '-7' DAY AS preceding
  FROM cte__active
)
SELECT
  segment AS __segment,
  period AS __period,
  COUNT(CASE WHEN kind = 'new' THEN 1 END) AS new,
  COUNT(CASE WHEN kind = 'returning' THEN 1 END) AS "returning",
  COUNT(CASE WHEN kind = 'resurrected' THEN 1 END) AS resurrected,
  COUNT(CASE WHEN kind = 'dormant' THEN 1 END) AS dormant
FROM (
  SELECT
    segment,
    period,
    CASE
      WHEN earlier IS NULL
      THEN 'new'
      WHEN earlier = preceding
      THEN 'returning'
      ELSE 'resurrected'
    END AS kind
  FROM cte__around
  UNION ALL
  SELECT
    segment,
    following AS period,
    'dormant' AS kind
  FROM cte__around
  WHERE
    later IS NULL OR later > following
) AS every_kind
WHERE
  period >= CAST('2026-07-26 00:00:00' AS TIMESTAMP)
  AND period < CAST('2026-11-29 00:00:00' AS TIMESTAMP)
GROUP BY
  segment,
  period;
