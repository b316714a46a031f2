WITH dataset__subscriptions AS (
  SELECT
    *
  FROM "subscriptions"
)
SELECT
  CAST(DATE_TRUNC('MONTH', CAST(given.period AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  '' AS __segment,
  SUM(given.numerator) AS numerator,
  SUM(given.denominator) AS denominator,
  CAST(SUM(given.numerator) AS DOUBLE) / NULLIF(SUM(given.denominator), 0) AS __value,
  SUM(given.denominator) AS n
FROM (
  SELECT
    m.month AS period,
    s.plan,
    s.country,
    s.card_region,
    COUNT(*) FILTER(WHERE
      s.ended_on >= m.month AND s.ended_on < m.month + INTERVAL '1' MONTH) AS numerator,
    COUNT(*) AS denominator
  FROM (
    SELECT DISTINCT
      DATE_TRUNC('MONTH', started_on) AS month
    FROM dataset__subscriptions AS subscriptions
  ) AS m
  JOIN dataset__subscriptions AS s
    ON s.started_on < m.month AND (
      s.ended_on IS NULL OR s.ended_on >= m.month
    )
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-01 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-12-01 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

-- by the first dimension;

WITH dataset__subscriptions AS (
  SELECT
    *
  FROM "subscriptions"
)
SELECT
  CAST(DATE_TRUNC('MONTH', CAST(given.period AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  COALESCE(CAST(given.plan AS TEXT), '(none)') AS __segment,
  SUM(given.numerator) AS numerator,
  SUM(given.denominator) AS denominator,
  CAST(SUM(given.numerator) AS DOUBLE) / NULLIF(SUM(given.denominator), 0) AS __value,
  SUM(given.denominator) AS n
FROM (
  SELECT
    m.month AS period,
    s.plan,
    s.country,
    s.card_region,
    COUNT(*) FILTER(WHERE
      s.ended_on >= m.month AND s.ended_on < m.month + INTERVAL '1' MONTH) AS numerator,
    COUNT(*) AS denominator
  FROM (
    SELECT DISTINCT
      DATE_TRUNC('MONTH', started_on) AS month
    FROM dataset__subscriptions AS subscriptions
  ) AS m
  JOIN dataset__subscriptions AS s
    ON s.started_on < m.month AND (
      s.ended_on IS NULL OR s.ended_on >= m.month
    )
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-01 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-12-01 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
