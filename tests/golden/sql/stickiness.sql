WITH dataset__sessions AS (
  SELECT
    *
  FROM "sessions"
)
SELECT
  CAST(DATE_TRUNC('WEEK', CAST(given.period AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  '' AS __segment,
  SUM(given.numerator) AS numerator,
  SUM(given.denominator) AS denominator,
  CAST(SUM(given.numerator) AS DOUBLE) / NULLIF(SUM(given.denominator), 0) AS __value,
  SUM(given.denominator) AS n
FROM (
  SELECT
    DATE_TRUNC('WEEK', day) AS period,
    plan,
    COUNT(*) / 7.0 AS numerator,
    COUNT(DISTINCT user_id) AS denominator
  FROM (
    SELECT DISTINCT
      user_id,
      plan,
      CAST(started_at AS DATE) AS day
    FROM dataset__sessions AS sessions
  )
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

-- by the first dimension;

WITH dataset__sessions AS (
  SELECT
    *
  FROM "sessions"
)
SELECT
  CAST(DATE_TRUNC('WEEK', CAST(given.period AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  COALESCE(CAST(given.plan AS TEXT), '(none)') AS __segment,
  SUM(given.numerator) AS numerator,
  SUM(given.denominator) AS denominator,
  CAST(SUM(given.numerator) AS DOUBLE) / NULLIF(SUM(given.denominator), 0) AS __value,
  SUM(given.denominator) AS n
FROM (
  SELECT
    DATE_TRUNC('WEEK', day) AS period,
    plan,
    COUNT(*) / 7.0 AS numerator,
    COUNT(DISTINCT user_id) AS denominator
  FROM (
    SELECT DISTINCT
      user_id,
      plan,
      CAST(started_at AS DATE) AS day
    FROM dataset__sessions AS sessions
  )
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
