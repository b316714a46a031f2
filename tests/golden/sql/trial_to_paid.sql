WITH cte__reached_1 AS (
  SELECT
    '' AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', CAST("trial_at" AS TIMESTAMP)) AS TIMESTAMP) AS period,
    MIN(CAST("trial_at" AS TIMESTAMP)) AS first_at,
    MIN(CAST("trial_at" AS TIMESTAMP)) AS reached_at,
    1 AS first_there
  FROM "users"
  WHERE
    (
      CAST("trial_at" AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
      AND CAST("trial_at" AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
  GROUP BY
    1,
    2,
    3
), cte__hits_2 AS (
  SELECT
    "user_id" AS entity,
    CAST("started_on" AS TIMESTAMP) AS seen_at,
    1 AS place
  FROM "subscriptions"
  WHERE
    (
      CAST("started_on" AS TIMESTAMP) >= CAST('2025-10-19 00:00:00' AS TIMESTAMP)
      AND CAST("started_on" AS TIMESTAMP) < CAST('2026-12-08 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
), cte__reached_2 AS (
  SELECT
    entity,
    segment,
    period,
    first_at,
    GREATEST(reached_at, hit) AS reached_at,
    CASE WHEN GREATEST(reached_at, hit) > reached_at THEN 2 ELSE first_there END AS first_there
  FROM (
    SELECT
      entity,
      segment,
      period,
      first_at,
      reached_at,
      first_there,
      hit
    FROM (
      SELECT
        entity,
        segment,
        period,
        first_at,
        reached_at,
        first_there,
        kind,
        MIN(hit_at) OVER (
          PARTITION BY entity
          ORDER BY line_at DESC, place
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS hit
      FROM (
        SELECT
          entity,
          segment,
          period,
          first_at,
          reached_at,
          first_there,
          CAST(DATE_TRUNC('DAY', reached_at) AS TIMESTAMP) AS line_at,
          CAST(NULL AS TIMESTAMP) AS hit_at,
          first_there * 2 AS place,
          0 AS kind
        FROM cte__reached_1
        UNION ALL
        SELECT
          entity,
          CAST(NULL AS TEXT) AS segment,
          CAST(NULL AS TIMESTAMP) AS period,
          CAST(NULL AS TIMESTAMP) AS first_at,
          CAST(NULL AS TIMESTAMP) AS reached_at,
          CAST(NULL AS BIGINT) AS first_there,
          seen_at AS line_at,
          seen_at AS hit_at,
          place,
          1 AS kind
        FROM cte__hits_2
        WHERE
          entity IN (
            SELECT
              entity
            FROM cte__reached_1
          )
      ) AS time_line
    ) AS looked
    WHERE
      kind = 0
  ) AS came_next
  WHERE
    hit < first_at + INTERVAL '14' DAY
)
SELECT
  segment AS __segment,
  period AS __period,
  step,
  COUNT(*) AS entries
FROM (
  SELECT
    segment,
    period,
    1 AS step
  FROM cte__reached_1
  UNION ALL
  SELECT
    segment,
    period,
    2 AS step
  FROM cte__reached_2
) AS every_step
GROUP BY
  segment,
  period,
  step;

-- by the first dimension;

WITH cte__reached_1 AS (
  SELECT
    COALESCE(CAST(platform AS TEXT), '(none)') AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('WEEK', CAST("trial_at" AS TIMESTAMP)) AS TIMESTAMP) AS period,
    MIN(CAST("trial_at" AS TIMESTAMP)) AS first_at,
    MIN(CAST("trial_at" AS TIMESTAMP)) AS reached_at,
    1 AS first_there
  FROM "users"
  WHERE
    (
      CAST("trial_at" AS TIMESTAMP) >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
      AND CAST("trial_at" AS TIMESTAMP) < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
  GROUP BY
    1,
    2,
    3
), cte__hits_2 AS (
  SELECT
    "user_id" AS entity,
    CAST("started_on" AS TIMESTAMP) AS seen_at,
    1 AS place
  FROM "subscriptions"
  WHERE
    (
      CAST("started_on" AS TIMESTAMP) >= CAST('2025-10-19 00:00:00' AS TIMESTAMP)
      AND CAST("started_on" AS TIMESTAMP) < CAST('2026-12-08 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
), cte__reached_2 AS (
  SELECT
    entity,
    segment,
    period,
    first_at,
    GREATEST(reached_at, hit) AS reached_at,
    CASE WHEN GREATEST(reached_at, hit) > reached_at THEN 2 ELSE first_there END AS first_there
  FROM (
    SELECT
      entity,
      segment,
      period,
      first_at,
      reached_at,
      first_there,
      hit
    FROM (
      SELECT
        entity,
        segment,
        period,
        first_at,
        reached_at,
        first_there,
        kind,
        MIN(hit_at) OVER (
          PARTITION BY entity
          ORDER BY line_at DESC, place
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS hit
      FROM (
        SELECT
          entity,
          segment,
          period,
          first_at,
          reached_at,
          first_there,
          CAST(DATE_TRUNC('DAY', reached_at) AS TIMESTAMP) AS line_at,
          CAST(NULL AS TIMESTAMP) AS hit_at,
          first_there * 2 AS place,
          0 AS kind
        FROM cte__reached_1
        UNION ALL
        SELECT
          entity,
          CAST(NULL AS TEXT) AS segment,
          CAST(NULL AS TIMESTAMP) AS period,
          CAST(NULL AS TIMESTAMP) AS first_at,
          CAST(NULL AS TIMESTAMP) AS reached_at,
          CAST(NULL AS BIGINT) AS first_there,
          seen_at AS line_at,
          seen_at AS hit_at,
          place,
          1 AS kind
        FROM cte__hits_2
        WHERE
          entity IN (
            SELECT
              entity
            FROM cte__reached_1
          )
      ) AS time_line
    ) AS looked
    WHERE
      kind = 0
  ) AS came_next
  WHERE
    hit < first_at + INTERVAL '14' DAY
)
SELECT
  segment AS __segment,
  period AS __period,
  step,
  COUNT(*) AS entries
FROM (
  SELECT
    segment,
    period,
    1 AS step
  FROM cte__reached_1
  UNION ALL
  SELECT
    segment,
    period,
    2 AS step
  FROM cte__reached_2
) AS every_step
GROUP BY
  segment,
  period,
  step
