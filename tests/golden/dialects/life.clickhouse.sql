WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'DAY',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period
  FROM "events"
  WHERE
    (
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
      AND NOT (
        (
          "user_id"
        ) IS NULL
      )
    )
    AND kind <> 'rest'
), cte__around AS (
  SELECT
    segment,
    period,
    lag(period) OVER (PARTITION BY segment, entity ORDER BY period) AS earlier,
    lead(period) OVER (PARTITION BY segment, entity ORDER BY period) AS later,
    period + INTERVAL '1' DAY AS following,
    period + INTERVAL '-1' DAY AS preceding
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
  period >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
  AND period < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
GROUP BY
  segment,
  period
