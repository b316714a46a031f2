WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS segment,
    user_id AS entity,
    CAST(CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) AS DATE) AS day
  FROM "events"
  WHERE
    (
      CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) >= CAST('2026-09-25 00:00:00' AS TIMESTAMP)
      AND CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      user_id
    ) IS NULL
), cte__spans AS (
  SELECT
    segment,
    day,
    LEAD(day) OVER (PARTITION BY segment, entity ORDER BY day) AS following
  FROM cte__active
), cte__alike AS (
  SELECT
    segment,
    day,
    following,
    CAST(COUNT(*) AS BIGINT) AS entities
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
      WHEN following < CAST(day + INTERVAL '7' DAY AS DATE)
      THEN following
      ELSE CAST(day + INTERVAL '7' DAY AS DATE)
    END AS day,
    -entities AS step
  FROM cte__alike
)
SELECT
  segment AS __segment,
  CAST(day AS TIMESTAMP) AS __period,
  SUM(SUM(step)) OVER (PARTITION BY segment ORDER BY day) AS __value
FROM cte__steps
GROUP BY
  segment,
  day
ORDER BY
  segment NULLS FIRST,
  day NULLS FIRST
