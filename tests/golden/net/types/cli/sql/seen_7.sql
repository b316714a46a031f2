WITH cte__active AS (
  SELECT DISTINCT
    user_id AS entity,
    CAST((
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York' AS DATE) AS day
  FROM "events"
  WHERE
    (
      (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-26 00:00:00' AS TIMESTAMP)
      AND (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York' < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      user_id
    ) IS NULL
), cte__spans AS (
  SELECT
    day,
    LEAD(day) OVER (PARTITION BY entity ORDER BY day) AS following
  FROM cte__active
), cte__alike AS (
  SELECT
    day,
    following,
    CAST(COUNT(*) AS BIGINT) AS entities
  FROM cte__spans
  GROUP BY
    day,
    following
), cte__steps AS (
  SELECT
    day,
    entities AS step
  FROM cte__alike
  UNION ALL
  SELECT
    CASE
      WHEN following < CAST(day + INTERVAL '7' DAY AS DATE)
      THEN following
      ELSE CAST(day + INTERVAL '7' DAY AS DATE)
    END AS day,
    -entities AS step
  FROM cte__alike
)
SELECT
  '' AS __segment,
  CAST(day AS TIMESTAMP) AS __period,
  SUM(SUM(step)) OVER (ORDER BY day) AS __value
FROM cte__steps
GROUP BY
  day
ORDER BY
  day NULLS FIRST;
