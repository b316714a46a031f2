WITH cte__starts AS (
  SELECT
    COALESCE(CAST(platform AS STRING), '(none)') AS segment,
    `user_id` AS entity,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), WEEK) AS DATETIME) AS period,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME) AS start_on,
    DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY `user_id` ORDER BY `at` NULLS LAST, `event_id` NULLS LAST) AS nth
  FROM `events`
  WHERE
    NOT (
      DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin')
    ) IS NULL
    AND NOT (
      `user_id`
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
      start_local >= CAST('2026-09-28 00:00:00' AS DATETIME)
      AND start_local < CAST('2026-11-09 00:00:00' AS DATETIME)
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
    COALESCE(CAST(platform AS STRING), '(none)') AS segment,
    `user_id` AS entity,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), WEEK) AS DATETIME) AS period,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME) AS start_on,
    DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY `user_id` ORDER BY `at` NULLS LAST, `event_id` NULLS LAST) AS nth
  FROM `events`
  WHERE
    NOT (
      DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin')
    ) IS NULL
    AND NOT (
      `user_id`
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
      start_local >= CAST('2026-09-28 00:00:00' AS DATETIME)
      AND start_local < CAST('2026-11-09 00:00:00' AS DATETIME)
    )
), cte__returns AS (
  SELECT DISTINCT
    `user_id` AS entity,
    CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME) AS back_on
  FROM `events`
  WHERE
    (
      (
        DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') >= CAST('2026-09-27 00:00:00' AS DATETIME)
        AND DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') < CAST('2026-12-21 00:00:00' AS DATETIME)
      )
      AND NOT (
        `user_id`
      ) IS NULL
    )
    AND `user_id` IN (
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
    FLOOR(DATE_DIFF(back_on, start_on, DAY) / 7.0) AS back_on
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
