WITH cte__cohort AS (
  SELECT DISTINCT
    '' AS segment,
    "user_id" AS entity,
    CAST((
      DATE_TRUNC(
        'WEEK',
        (
          (
            (
              "at"
            ) AT TIME ZONE 'UTC'
          ) AT TIME ZONE 'America/New_York'
        ) - INTERVAL '6' DAY
      )
    ) + INTERVAL '6' DAY AS TIMESTAMP) AS period,
    CAST((
      DATE_TRUNC(
        'WEEK',
        (
          (
            (
              "at"
            ) AT TIME ZONE 'UTC'
          ) AT TIME ZONE 'America/New_York'
        ) - INTERVAL '6' DAY
      )
    ) + INTERVAL '6' DAY AS TIMESTAMP) AS start_on
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
      ) AT TIME ZONE 'America/New_York' < CAST('2026-11-29 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
)
SELECT
  segment AS __segment,
  period AS __period,
  COUNT(*) AS n
FROM cte__cohort
GROUP BY
  segment,
  period;

WITH cte__cohort AS (
  SELECT DISTINCT
    '' AS segment,
    "user_id" AS entity,
    CAST((
      DATE_TRUNC(
        'WEEK',
        (
          (
            (
              "at"
            ) AT TIME ZONE 'UTC'
          ) AT TIME ZONE 'America/New_York'
        ) - INTERVAL '6' DAY
      )
    ) + INTERVAL '6' DAY AS TIMESTAMP) AS period,
    CAST((
      DATE_TRUNC(
        'WEEK',
        (
          (
            (
              "at"
            ) AT TIME ZONE 'UTC'
          ) AT TIME ZONE 'America/New_York'
        ) - INTERVAL '6' DAY
      )
    ) + INTERVAL '6' DAY AS TIMESTAMP) AS start_on
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
      ) AT TIME ZONE 'America/New_York' < CAST('2026-11-29 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
), cte__returns AS (
  SELECT DISTINCT
    "user_id" AS entity,
    CAST((
      DATE_TRUNC(
        'WEEK',
        (
          (
            (
              "at"
            ) AT TIME ZONE 'UTC'
          ) AT TIME ZONE 'America/New_York'
        ) - INTERVAL '6' DAY
      )
    ) + INTERVAL '6' DAY AS TIMESTAMP) AS back_on
  FROM "events"
  WHERE
    (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-25 00:00:00' AS TIMESTAMP)
    AND NOT (
      "user_id"
    ) IS NULL
), cte__pairs AS (
  SELECT
    cte__cohort.segment,
    cte__cohort.period,
    cte__cohort.entity,
    cte__cohort.start_on,
    MAX(cte__returns.back_on) AS back_on
  FROM cte__cohort
  JOIN cte__returns
    ON cte__returns.entity = cte__cohort.entity
    AND cte__returns.back_on > cte__cohort.start_on
  GROUP BY
    1,
    2,
    3,
    4
)
SELECT
  segment AS __segment,
  period AS __period,
  start_on,
  back_on,
  COUNT(*) AS entries
FROM cte__pairs
GROUP BY
  segment,
  period,
  start_on,
  back_on;
