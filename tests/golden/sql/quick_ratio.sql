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
  WITH active AS (
    SELECT DISTINCT
      user_id,
      DATE_TRUNC('WEEK', started_at) AS week
    FROM dataset__sessions AS sessions
  ), around AS (
    SELECT
      user_id,
      week,
      LAG(week) OVER (PARTITION BY user_id ORDER BY week) AS before,
      LEAD(week) OVER (PARTITION BY user_id ORDER BY week) AS next
    FROM active
  ), counted AS (
    SELECT
      week AS period,
      1 AS gained,
      0 AS lost
    FROM around
    WHERE
      before IS NULL OR before < week - INTERVAL '7' DAYS
    UNION ALL
    SELECT
      week + INTERVAL '7' DAYS AS period,
      0 AS gained,
      1 AS lost
    FROM around
    WHERE
      next IS NULL OR next > week + INTERVAL '7' DAYS
  )
  SELECT
    period,
    SUM(gained) AS numerator,
    SUM(lost) AS denominator
  FROM counted
  GROUP BY
    period
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
