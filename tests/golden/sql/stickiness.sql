WITH cte__active AS (
  SELECT DISTINCT
    '' AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', "started_at") AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS short
  FROM "sessions"
  WHERE
    (
      "started_at" >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
      AND "started_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
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

-- by the first dimension;

WITH cte__active AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS TEXT), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', "started_at") AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS short
  FROM "sessions"
  WHERE
    (
      "started_at" >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
      AND "started_at" < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
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
  period
