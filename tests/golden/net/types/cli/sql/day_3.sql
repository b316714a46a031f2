WITH cte__starts AS (
  SELECT
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
    CAST(DATE_TRUNC('DAY', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS start_on,
    (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York' AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY "at", "user_id") AS nth
  FROM "people"
  WHERE
    NOT (
      (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York'
    ) IS NULL
    AND NOT (
      "user_id"
    ) IS NULL
), cte__cohort AS (
  SELECT
    segment,
    entity,
    period,
    start_on
  FROM cte__starts
  WHERE
    (
      nth = 1 AND asked = 1
    )
    AND (
      start_local >= CAST('2026-07-26 00:00:00' AS TIMESTAMP)
      AND start_local < CAST('2026-11-08 00:00:00' AS TIMESTAMP)
    )
)
SELECT
  segment AS __segment,
  period AS __period,
  COUNT(*) AS n
FROM cte__cohort
GROUP BY
  segment,
  period;

WITH cte__starts AS (
  SELECT
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
    CAST(DATE_TRUNC('DAY', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS start_on,
    (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York' AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY "at", "user_id") AS nth
  FROM "people"
  WHERE
    NOT (
      (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York'
    ) IS NULL
    AND NOT (
      "user_id"
    ) IS NULL
), cte__cohort AS (
  SELECT
    segment,
    entity,
    period,
    start_on
  FROM cte__starts
  WHERE
    (
      nth = 1 AND asked = 1
    )
    AND (
      start_local >= CAST('2026-07-26 00:00:00' AS TIMESTAMP)
      AND start_local < CAST('2026-11-08 00:00:00' AS TIMESTAMP)
    )
), cte__returns AS (
  SELECT DISTINCT
    "user_id" AS entity,
    CAST(DATE_TRUNC('DAY', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS back_on
  FROM "events"
  WHERE
    (
      (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-25 00:00:00' AS TIMESTAMP)
      AND (
        (
          "at"
        ) AT TIME ZONE 'UTC'
      ) AT TIME ZONE 'America/New_York' < CAST('2026-11-15 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
), cte__pairs AS (
  SELECT
    cte__cohort.segment,
    cte__cohort.period,
    cte__cohort.entity,
    cte__cohort.start_on,
    cte__returns.back_on
  FROM cte__cohort
  JOIN cte__returns
    ON cte__returns.entity = cte__cohort.entity
    AND cte__returns.back_on > cte__cohort.start_on
  WHERE
    cte__returns.back_on < cte__cohort.start_on + INTERVAL '6' DAY
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
