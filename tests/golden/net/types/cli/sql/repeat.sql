WITH dataset__events AS (
  SELECT
    own.*,
    "other_1"."plan"
  FROM "events" AS own
  LEFT JOIN (
    SELECT
      "user_id" AS joined_key,
      plan AS "plan"
    FROM "people"
  ) AS other_1
    ON "own"."user_id" = other_1.joined_key
)
SELECT
  CAST((
    DATE_TRUNC('WEEK', (
      CAST(given.period AS TIMESTAMP)
    ) - INTERVAL '6' DAY)
  ) + INTERVAL '6' DAY AS TIMESTAMP) AS __period,
  '' AS __segment,
  SUM(given.numerator) AS numerator,
  SUM(given.denominator) AS denominator,
  CAST(SUM(given.numerator) AS DOUBLE) / NULLIF(SUM(given.denominator), 0) AS __value,
  SUM(given.denominator) AS n
FROM (
  SELECT
    period,
    platform,
    COUNT(*) FILTER(WHERE
      n > 1) AS numerator,
    COUNT(*) AS denominator
  FROM (
    SELECT
      DATE_TRUNC('WEEK', "at") AS period,
      platform,
      user_id,
      COUNT(*) AS n
    FROM dataset__events AS events
    GROUP BY ALL
  )
  GROUP BY ALL
) AS given
WHERE
  CAST(given.period AS TIMESTAMP) >= CAST('2026-07-26 00:00:00' AS TIMESTAMP)
  AND CAST(given.period AS TIMESTAMP) < CAST('2026-11-29 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;
