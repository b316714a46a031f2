WITH dataset__users AS (
  SELECT
    *
  FROM "users"
), dataset__subscriptions AS (
  SELECT
    *
  FROM "subscriptions"
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
    DATE_TRUNC('WEEK', u.trial_at) AS period,
    u.platform,
    u.country,
    u.plan,
    u.channel,
    COUNT(s.user_id) AS numerator,
    COUNT(*) AS denominator
  FROM dataset__users AS u
  LEFT JOIN (
    SELECT
      user_id,
      MIN(started_on) AS paid_on
    FROM dataset__subscriptions AS subscriptions
    GROUP BY
      user_id
  ) AS s
    ON s.user_id = u.user_id
    AND s.paid_on >= CAST(u.trial_at AS DATE)
    AND s.paid_on < u.trial_at + INTERVAL '14' DAYS
  WHERE
    NOT u.trial_at IS NULL
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
), dataset__subscriptions AS (
  SELECT
    *
  FROM "subscriptions"
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
    DATE_TRUNC('WEEK', u.trial_at) AS period,
    u.platform,
    u.country,
    u.plan,
    u.channel,
    COUNT(s.user_id) AS numerator,
    COUNT(*) AS denominator
  FROM dataset__users AS u
  LEFT JOIN (
    SELECT
      user_id,
      MIN(started_on) AS paid_on
    FROM dataset__subscriptions AS subscriptions
    GROUP BY
      user_id
  ) AS s
    ON s.user_id = u.user_id
    AND s.paid_on >= CAST(u.trial_at AS DATE)
    AND s.paid_on < u.trial_at + INTERVAL '14' DAYS
  WHERE
    NOT u.trial_at IS NULL
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
