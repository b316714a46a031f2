WITH dataset__feedback AS (
  SELECT
    *
  FROM "feedback"
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
    DATE_TRUNC('WEEK', submitted_at) AS period,
    platform,
    country,
    plan,
    editor,
    100 * (
      COUNT(*) FILTER(WHERE
        score >= 9) - COUNT(*) FILTER(WHERE
        score <= 6)
    ) AS numerator,
    COUNT(*) AS denominator
  FROM dataset__feedback AS feedback
  WHERE
    NOT score IS NULL
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

-- by the first dimension;

WITH dataset__feedback AS (
  SELECT
    *
  FROM "feedback"
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
    DATE_TRUNC('WEEK', submitted_at) AS period,
    platform,
    country,
    plan,
    editor,
    100 * (
      COUNT(*) FILTER(WHERE
        score >= 9) - COUNT(*) FILTER(WHERE
        score <= 6)
    ) AS numerator,
    COUNT(*) AS denominator
  FROM dataset__feedback AS feedback
  WHERE
    NOT score IS NULL
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
