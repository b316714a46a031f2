WITH dataset__users AS (
  SELECT
    *
  FROM "users"
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
    DATE_TRUNC('WEEK', signed_up_at) AS period,
    platform,
    country,
    plan,
    channel,
    COUNT(*) FILTER(WHERE
      activated_at < signed_up_at + INTERVAL '7' DAYS) AS numerator,
    COUNT(*) AS denominator
  FROM dataset__users AS users
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

-- by the first dimension;

WITH dataset__users AS (
  SELECT
    *
  FROM "users"
)
SELECT
  CAST(DATE_TRUNC('WEEK', CAST(given.period AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  COALESCE(CAST(given.platform AS TEXT), '(none)') AS __segment,
  SUM(given.numerator) AS numerator,
  SUM(given.denominator) AS denominator,
  CAST(SUM(given.numerator) AS DOUBLE) / NULLIF(SUM(given.denominator), 0) AS __value,
  SUM(given.denominator) AS n
FROM (
  SELECT
    DATE_TRUNC('WEEK', signed_up_at) AS period,
    platform,
    country,
    plan,
    channel,
    COUNT(*) FILTER(WHERE
      activated_at < signed_up_at + INTERVAL '7' DAYS) AS numerator,
    COUNT(*) AS denominator
  FROM dataset__users AS users
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
