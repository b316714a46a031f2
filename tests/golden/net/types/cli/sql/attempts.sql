WITH cte__reached_1 AS (
  SELECT
    '' AS segment,
    "user_id" AS entity,
    CAST(DATE_TRUNC('DAY', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS period,
    CAST(DATE_TRUNC('DAY', (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS day,
    MIN("at") AS first_at,
    MIN("at") AS reached_at
  FROM "events"
  WHERE
    (
      (
        (
          (
            "at"
          ) AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'America/New_York' >= CAST('2026-08-01 00:00:00' AS TIMESTAMP)
        AND (
          (
            "at"
          ) AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'America/New_York' < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
      )
      AND NOT (
        "user_id"
      ) IS NULL
    )
    AND kind = 'view'
  GROUP BY
    1,
    2,
    3,
    4
), cte__hits_2 AS (
  SELECT
    "user_id" AS entity,
    "at" AS seen_at
  FROM "events"
  WHERE
    (
      (
        (
          (
            "at"
          ) AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-31 00:00:00' AS TIMESTAMP)
        AND (
          (
            "at"
          ) AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'America/New_York' < CAST('2026-11-26 00:00:00' AS TIMESTAMP)
      )
      AND NOT (
        "user_id"
      ) IS NULL
    )
    AND kind = 'cart'
), cte__reached_2 AS (
  SELECT
    entity,
    segment,
    period,
    first_at,
    hit AS reached_at
  FROM (
    SELECT
      entity,
      segment,
      period,
      first_at,
      reached_at,
      hit
    FROM (
      SELECT
        entity,
        segment,
        period,
        first_at,
        reached_at,
        kind,
        MIN(hit_at) OVER (
          PARTITION BY entity
          ORDER BY line_at DESC, kind
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS hit
      FROM (
        SELECT
          entity,
          segment,
          period,
          first_at,
          reached_at,
          reached_at AS line_at,
          CAST(NULL AS TIMESTAMP) AS hit_at,
          0 AS kind
        FROM cte__reached_1
        UNION ALL
        SELECT
          entity,
          CAST(NULL AS TEXT) AS segment,
          CAST(NULL AS TIMESTAMP) AS period,
          CAST(NULL AS TIMESTAMP) AS first_at,
          CAST(NULL AS TIMESTAMP) AS reached_at,
          seen_at AS line_at,
          seen_at AS hit_at,
          1 AS kind
        FROM cte__hits_2
      ) AS time_line
    ) AS looked
    WHERE
      kind = 0
  ) AS came_next
  WHERE
    hit < first_at + INTERVAL '2' DAY
), cte__hits_3 AS (
  SELECT
    "user_id" AS entity,
    "at" AS seen_at
  FROM "events"
  WHERE
    (
      (
        (
          (
            "at"
          ) AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-31 00:00:00' AS TIMESTAMP)
        AND (
          (
            "at"
          ) AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'America/New_York' < CAST('2026-11-26 00:00:00' AS TIMESTAMP)
      )
      AND NOT (
        "user_id"
      ) IS NULL
    )
    AND kind = 'buy'
), cte__reached_3 AS (
  SELECT
    entity,
    segment,
    period,
    first_at,
    hit AS reached_at
  FROM (
    SELECT
      entity,
      segment,
      period,
      first_at,
      reached_at,
      hit
    FROM (
      SELECT
        entity,
        segment,
        period,
        first_at,
        reached_at,
        kind,
        MIN(hit_at) OVER (
          PARTITION BY entity
          ORDER BY line_at DESC, kind
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS hit
      FROM (
        SELECT
          entity,
          segment,
          period,
          first_at,
          reached_at,
          reached_at AS line_at,
          CAST(NULL AS TIMESTAMP) AS hit_at,
          0 AS kind
        FROM cte__reached_2
        UNION ALL
        SELECT
          entity,
          CAST(NULL AS TEXT) AS segment,
          CAST(NULL AS TIMESTAMP) AS period,
          CAST(NULL AS TIMESTAMP) AS first_at,
          CAST(NULL AS TIMESTAMP) AS reached_at,
          seen_at AS line_at,
          seen_at AS hit_at,
          1 AS kind
        FROM cte__hits_3
      ) AS time_line
    ) AS looked
    WHERE
      kind = 0
  ) AS came_next
  WHERE
    hit < first_at + INTERVAL '2' DAY
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
  UNION ALL
  SELECT
    segment,
    period,
    3 AS step
  FROM cte__reached_3
) AS every_step
GROUP BY
  segment,
  period,
  step;
