WITH cte__starts AS (
  SELECT
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC(
      'WEEK',
      CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)
    ) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)) AS TIMESTAMP) AS start_on,
    CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY "at", "event_id") AS nth
  FROM "events"
  WHERE
    NOT (
      CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)
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
      start_local >= CAST('2026-09-28 00:00:00' AS TIMESTAMP)
      AND start_local < CAST('2026-11-09 00:00:00' AS TIMESTAMP)
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
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC(
      'WEEK',
      CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)
    ) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)) AS TIMESTAMP) AS start_on,
    CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY "at", "event_id") AS nth
  FROM "events"
  WHERE
    NOT (
      CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)
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
      start_local >= CAST('2026-09-28 00:00:00' AS TIMESTAMP)
      AND start_local < CAST('2026-11-09 00:00:00' AS TIMESTAMP)
    )
), cte__returns AS (
  SELECT DISTINCT
    "user_id" AS entity,
    CAST(DATE_TRUNC('DAY', CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)) AS TIMESTAMP) AS back_on
  FROM "events"
  WHERE
    (
      (
        CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) >= CAST('2026-09-27 00:00:00' AS TIMESTAMP)
        AND CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) < CAST('2026-12-21 00:00:00' AS TIMESTAMP)
      )
      AND NOT (
        "user_id"
      ) IS NULL
    )
    AND "user_id" IN (
      SELECT
        entity
      FROM cte__cohort
    )
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
    cte__returns.back_on < cte__cohort.start_on + INTERVAL '35' DAY
), cte__own_weeks AS (
  SELECT DISTINCT
    segment,
    period,
    entity,
    start_on,
    FLOOR(CAST(DATE_DIFF('DAY', start_on, back_on) AS DOUBLE) / 7.0) AS back_on
  FROM cte__pairs
)
SELECT
  segment AS __segment,
  period AS __period,
  start_on,
  back_on,
  COUNT(*) AS entries
FROM cte__own_weeks
GROUP BY
  segment,
  period,
  start_on,
  back_on
