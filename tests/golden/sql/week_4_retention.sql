WITH dataset__users AS (
  SELECT
    *
  FROM "users"
), dataset__sessions AS (
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
    DATE_TRUNC('WEEK', u.activated_at) AS period,
    u.platform,
    u.country,
    u.plan,
    u.channel,
    COUNT(b.user_id) AS numerator,
    COUNT(*) AS denominator
  FROM dataset__users AS u
  LEFT JOIN (
    SELECT DISTINCT
      s.user_id
    FROM dataset__sessions AS s
    JOIN dataset__users AS v
      ON v.user_id = s.user_id
    WHERE
      CAST(s.started_at AS DATE) >= CAST(v.activated_at AS DATE) + INTERVAL '28' DAYS
      AND CAST(s.started_at AS DATE) < CAST(v.activated_at AS DATE) + INTERVAL '35' DAYS
  ) AS b
    ON b.user_id = u.user_id
  WHERE
    NOT u.activated_at IS NULL
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
), dataset__sessions AS (
  SELECT
    *
  FROM "sessions"
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
    DATE_TRUNC('WEEK', u.activated_at) AS period,
    u.platform,
    u.country,
    u.plan,
    u.channel,
    COUNT(b.user_id) AS numerator,
    COUNT(*) AS denominator
  FROM dataset__users AS u
  LEFT JOIN (
    SELECT DISTINCT
      s.user_id
    FROM dataset__sessions AS s
    JOIN dataset__users AS v
      ON v.user_id = s.user_id
    WHERE
      CAST(s.started_at AS DATE) >= CAST(v.activated_at AS DATE) + INTERVAL '28' DAYS
      AND CAST(s.started_at AS DATE) < CAST(v.activated_at AS DATE) + INTERVAL '35' DAYS
  ) AS b
    ON b.user_id = u.user_id
  WHERE
    NOT u.activated_at IS NULL
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
