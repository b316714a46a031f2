WITH cte__active AS (
  SELECT DISTINCT
    user_id AS entity,
    CAST("started_at" AS DATE) AS day
  FROM "sessions"
  WHERE
    (
      (
        "started_at" >= CAST('2025-10-18 00:00:00' AS TIMESTAMP)
        AND "started_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
      )
      AND core_action
    )
    AND NOT (
      user_id
    ) IS NULL
), cte__spans AS (
  SELECT
    day,
    LEAD(day) OVER (PARTITION BY entity ORDER BY day) AS following
  FROM cte__active
), cte__alike AS (
  SELECT
    day,
    following,
    CAST(COUNT(*) AS BIGINT) AS entities
  FROM cte__spans
  GROUP BY
    day,
    following
), cte__steps AS (
  SELECT
    day,
    entities AS step
  FROM cte__alike
  UNION ALL
  SELECT
    CASE
      WHEN following < CAST(day + INTERVAL '7' DAY AS DATE)
      THEN following
      ELSE CAST(day + INTERVAL '7' DAY AS DATE)
    END AS day,
    -entities AS step
  FROM cte__alike
)
SELECT
  '' AS __segment,
  CAST(day AS TIMESTAMP) AS __period,
  SUM(SUM(step)) OVER (ORDER BY day) AS __value
FROM cte__steps
GROUP BY
  day
ORDER BY
  day NULLS FIRST;

-- by the first dimension;

WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS TEXT), '(none)') AS segment,
    user_id AS entity,
    CAST("started_at" AS DATE) AS day
  FROM "sessions"
  WHERE
    (
      (
        "started_at" >= CAST('2025-10-18 00:00:00' AS TIMESTAMP)
        AND "started_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
      )
      AND core_action
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
