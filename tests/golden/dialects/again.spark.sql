WITH cohort AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS STRING), '(none)') AS segment,
    `user_id` AS entity,
    CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('WEEK', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS start_on
  FROM `events`
  WHERE
    (
      CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
      AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      `user_id`
    ) IS NULL
)
SELECT
  segment AS __segment,
  period AS __period,
  COUNT(*) AS n
FROM cohort
GROUP BY
  segment,
  period;

WITH cohort AS (
  SELECT DISTINCT
    COALESCE(CAST(platform AS STRING), '(none)') AS segment,
    `user_id` AS entity,
    CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('WEEK', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS start_on
  FROM `events`
  WHERE
    (
      CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
      AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      `user_id`
    ) IS NULL
), returns AS (
  SELECT DISTINCT
    `user_id` AS entity,
    CAST(DATE_TRUNC('WEEK', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS back_on
  FROM `events`
  WHERE
    (
      CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) >= CAST('2026-09-30 00:00:00' AS TIMESTAMP)
      AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) < CAST('2026-12-17 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      `user_id`
    ) IS NULL
), pairs AS (
  SELECT
    cohort.segment,
    cohort.period,
    cohort.entity,
    cohort.start_on,
    returns.back_on
  FROM cohort
  JOIN returns
    ON returns.entity = cohort.entity AND returns.back_on > cohort.start_on
  WHERE
    returns.back_on < cohort.start_on + INTERVAL '35' DAY
)
SELECT
  segment AS __segment,
  period AS __period,
  start_on,
  back_on,
  COUNT(*) AS entries
FROM pairs
GROUP BY
  segment,
  period,
  start_on,
  back_on
