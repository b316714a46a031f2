WITH dataset__subscriptions AS (
  SELECT
    *
  FROM "subscriptions"
)
SELECT
  CAST(DATE_TRUNC('MONTH', CAST(given.period AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  '' AS __segment,
  SUM(given.value) AS __value,
  SUM(given.n) AS n
FROM (
  SELECT
    DATE_TRUNC('MONTH', started_on) AS period,
    plan,
    country,
    card_region,
    SUM(mrr) AS value,
    COUNT(*) AS n
  FROM dataset__subscriptions AS subscriptions
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
  SUM(given.value) AS __value,
  SUM(given.n) AS n
FROM (
  SELECT
    DATE_TRUNC('MONTH', started_on) AS period,
    plan,
    country,
    card_region,
    SUM(mrr) AS value,
    COUNT(*) AS n
  FROM dataset__subscriptions AS subscriptions
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-01 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-12-01 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
