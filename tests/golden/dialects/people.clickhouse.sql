WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    user_id AS entity,
    CAST(toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') AS Nullable(Date32)) AS day
  FROM "events"
  WHERE
    (
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-25 00:00:00' AS Nullable(DateTime64(6)))
      AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
    )
    AND NOT (
      (
        user_id
      ) IS NULL
    )
), cte__spans AS (
  SELECT
    segment,
    day,
    lead(day) OVER (PARTITION BY segment, entity ORDER BY day) AS following
  FROM cte__active
), cte__alike AS (
  SELECT
    segment,
    day,
    following,
    CAST(COUNT(*) AS Nullable(Int64)) AS entities
  FROM cte__spans
  GROUP BY
    segment,
    day,
    following
), cte__steps AS (
  SELECT
    segment,
    day,
    entities AS step
  FROM cte__alike
  UNION ALL
  SELECT
    segment,
    CASE
      WHEN following < CAST(day + INTERVAL '7' DAY AS Nullable(Date32))
      THEN following
      ELSE CAST(day + INTERVAL '7' DAY AS Nullable(Date32))
    END AS day,
    -entities AS step
  FROM cte__alike
)
SELECT
  segment AS __segment,
  CAST(day AS Nullable(DateTime64(6))) AS __period,
  SUM(SUM(step)) OVER (PARTITION BY segment ORDER BY day) AS __value
FROM cte__steps
GROUP BY
  segment,
  day
ORDER BY
  segment NULLS FIRST,
  day NULLS FIRST
