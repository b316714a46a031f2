WITH cte__starts AS (
  SELECT
    '' AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', CAST("activated_at" AS TIMESTAMP)) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', CAST("activated_at" AS TIMESTAMP)) AS TIMESTAMP) AS start_on,
    CAST("activated_at" AS TIMESTAMP) AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY CAST("activated_at" AS TIMESTAMP), "user_id") AS nth
  FROM "users"
  WHERE
    NOT (
      CAST("activated_at" AS TIMESTAMP)
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
      start_local >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
      AND start_local < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
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
    CAST(DATE_TRUNC('WEEK', CAST("activated_at" AS TIMESTAMP)) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', CAST("activated_at" AS TIMESTAMP)) AS TIMESTAMP) AS start_on,
    CAST("activated_at" AS TIMESTAMP) AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY CAST("activated_at" AS TIMESTAMP), "user_id") AS nth
  FROM "users"
  WHERE
    NOT (
      CAST("activated_at" AS TIMESTAMP)
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
      start_local >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
      AND start_local < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
    )
), cte__returns AS (
  SELECT DISTINCT
    "user_id" AS entity,
    CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS back_on
  FROM "sessions"
  WHERE
    (
      "started_at" >= CAST('2025-10-19 00:00:00' AS TIMESTAMP)
      AND "started_at" < CAST('2027-03-01 00:00:00' AS TIMESTAMP)
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
    cte__returns.back_on < cte__cohort.start_on + INTERVAL '91' DAY
), cte__own_weeks AS (
  SELECT DISTINCT
    segment,
    period,
    entity,
    start_on,
    FLOOR(DATE_DIFF('DAY', start_on, back_on) / 7.0) AS back_on
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
  back_on;

-- by the first dimension;

WITH cte__starts AS (
  SELECT
    COALESCE(CAST(platform AS TEXT), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', CAST("activated_at" AS TIMESTAMP)) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', CAST("activated_at" AS TIMESTAMP)) AS TIMESTAMP) AS start_on,
    CAST("activated_at" AS TIMESTAMP) AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY CAST("activated_at" AS TIMESTAMP), "user_id") AS nth
  FROM "users"
  WHERE
    NOT (
      CAST("activated_at" AS TIMESTAMP)
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
      start_local >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
      AND start_local < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
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
    COALESCE(CAST(platform AS TEXT), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', CAST("activated_at" AS TIMESTAMP)) AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', CAST("activated_at" AS TIMESTAMP)) AS TIMESTAMP) AS start_on,
    CAST("activated_at" AS TIMESTAMP) AS start_local,
    1 AS asked,
    ROW_NUMBER() OVER (PARTITION BY "user_id" ORDER BY CAST("activated_at" AS TIMESTAMP), "user_id") AS nth
  FROM "users"
  WHERE
    NOT (
      CAST("activated_at" AS TIMESTAMP)
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
      start_local >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
      AND start_local < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
    )
), cte__returns AS (
  SELECT DISTINCT
    "user_id" AS entity,
    CAST(DATE_TRUNC('DAY', "started_at") AS TIMESTAMP) AS back_on
  FROM "sessions"
  WHERE
    (
      "started_at" >= CAST('2025-10-19 00:00:00' AS TIMESTAMP)
      AND "started_at" < CAST('2027-03-01 00:00:00' AS TIMESTAMP)
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
    cte__returns.back_on < cte__cohort.start_on + INTERVAL '91' DAY
), cte__own_weeks AS (
  SELECT DISTINCT
    segment,
    period,
    entity,
    start_on,
    FLOOR(DATE_DIFF('DAY', start_on, back_on) / 7.0) AS back_on
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
