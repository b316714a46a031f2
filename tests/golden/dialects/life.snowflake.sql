WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at")) AS TIMESTAMP) AS period
  FROM "events"
  WHERE
    (
      CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
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
    period + INTERVAL '1 DAY' AS following,
    period + INTERVAL '-1 DAY' AS preceding
  FROM cte__active
)
SELECT
  segment AS __segment,
  period AS __period,
  COUNT(CASE WHEN kind = 'new' THEN 1 END) AS new,
  COUNT(CASE WHEN kind = 'returning' THEN 1 END) AS returning,
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
  period >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
  AND period < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
GROUP BY
  segment,
  period
