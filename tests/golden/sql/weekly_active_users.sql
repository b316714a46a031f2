WITH active AS (
  SELECT DISTINCT
    '' AS segment,
    user_id AS entity,
    CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS day
  FROM "sessions"
  WHERE
    (
      (
        "started_at" >= CAST('2025-10-18 00:00:00' AS TIMESTAMP)
        AND "started_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
      )
      AND NOT (
        user_id
      ) IS NULL
    )
    AND core_action
), spans AS (
  SELECT
    segment,
    day,
    LEAST(
      day + INTERVAL '7' DAY,
      COALESCE(LEAD(day) OVER (PARTITION BY segment, entity ORDER BY day), day + INTERVAL '7' DAY)
    ) AS until
  FROM active
), steps AS (
  SELECT
    segment,
    day,
    1 AS step
  FROM spans
  UNION ALL
  SELECT
    segment,
    until AS day,
    -1 AS step
  FROM spans
)
SELECT
  segment AS __segment,
  day AS __period,
  SUM(SUM(step)) OVER (PARTITION BY segment ORDER BY day) AS __value
FROM steps
GROUP BY
  segment,
  day
ORDER BY
  segment NULLS FIRST,
  day NULLS FIRST;

-- by the first dimension;

WITH active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS TEXT), '(none)') AS segment,
    user_id AS entity,
    CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS day
  FROM "sessions"
  WHERE
    (
      (
        "started_at" >= CAST('2025-10-18 00:00:00' AS TIMESTAMP)
        AND "started_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
      )
      AND NOT (
        user_id
      ) IS NULL
    )
    AND core_action
), spans AS (
  SELECT
    segment,
    day,
    LEAST(
      day + INTERVAL '7' DAY,
      COALESCE(LEAD(day) OVER (PARTITION BY segment, entity ORDER BY day), day + INTERVAL '7' DAY)
    ) AS until
  FROM active
), steps AS (
  SELECT
    segment,
    day,
    1 AS step
  FROM spans
  UNION ALL
  SELECT
    segment,
    until AS day,
    -1 AS step
  FROM spans
)
SELECT
  segment AS __segment,
  day AS __period,
  SUM(SUM(step)) OVER (PARTITION BY segment ORDER BY day) AS __value
FROM steps
GROUP BY
  segment,
  day
ORDER BY
  segment NULLS FIRST,
  day NULLS FIRST
