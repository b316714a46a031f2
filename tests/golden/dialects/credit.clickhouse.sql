WITH cte__base AS (
  SELECT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') AS base_local,
    "at" AS base_at,
    "at" AS line_at
  FROM "events"
  WHERE
    (
      (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
        AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-08 00:00:00' AS Nullable(DateTime64(6)))
      )
      AND NOT (
        (
          "user_id"
        ) IS NULL
      )
    )
    AND kind = 'view'
), cte__conversions AS (
  SELECT
    "user_id" AS entity,
    "at" AS seen_at,
    CASE WHEN (
      kind = 'view'
    ) THEN 3 ELSE 1 END AS place
  FROM "events"
  WHERE
    (
      (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-30 00:00:00' AS Nullable(DateTime64(6)))
        AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-08 00:00:00' AS Nullable(DateTime64(6)))
      )
      AND NOT (
        (
          "user_id"
        ) IS NULL
      )
    )
    AND kind = 'buy'
), cte__pairs AS (
  SELECT DISTINCT
    segment,
    entity
  FROM cte__base
), cte__touched AS (
  SELECT
    segment,
    line_at,
    kind,
    MAX(base_local) OVER (
      PARTITION BY segment, entity
      ORDER BY line_at, place DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS local,
    MAX(base_at) OVER (
      PARTITION BY segment, entity
      ORDER BY line_at, place DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS touched_at
  FROM (
    SELECT
      segment,
      entity,
      base_local,
      base_at,
      line_at,
      2 AS place,
      0 AS kind
    FROM cte__base
    UNION ALL
    SELECT
      cte__pairs.segment,
      cte__pairs.entity,
      CAST(NULL AS Nullable(DateTime64(6))) AS base_local,
      CAST(NULL AS Nullable(DateTime64(6))) AS base_at,
      cte__conversions.seen_at AS line_at,
      cte__conversions.place,
      1 AS kind
    FROM cte__conversions
    JOIN cte__pairs
      ON cte__pairs.entity = cte__conversions.entity
  ) AS time_line
)
SELECT
  segment AS __segment,
  CAST(dateTrunc('DAY', local) AS Nullable(DateTime64(6))) AS __period,
  COUNT(CASE WHEN kind = 1 AND line_at < touched_at + INTERVAL '2' DAY THEN 1 END) AS numerator,
  COUNT(CASE WHEN kind = 0 THEN 1 END) AS denominator,
  COUNT(CASE WHEN kind = 0 THEN 1 END) AS n
FROM cte__touched
WHERE
  local >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
  AND local < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
GROUP BY
  1,
  2
