WITH cte__base AS (
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
    (
      (
        "at"
      ) AT TIME ZONE 'UTC'
    ) AT TIME ZONE 'America/New_York' AS base_at
  FROM "people"
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
      ) AT TIME ZONE 'America/New_York' < CAST('2026-11-08 00:00:00' AS TIMESTAMP)
    )
    AND NOT (
      "user_id"
    ) IS NULL
), cte__conversions AS (
  SELECT
    "user_id" AS entity,
    CAST("at" AS TIMESTAMP) AS seen_at,
    1 AS place
  FROM "payments"
  WHERE
    CAST("at" AS TIMESTAMP) >= CAST('2026-07-25 00:00:00' AS TIMESTAMP)
    AND NOT (
      "user_id"
    ) IS NULL
), cte__followed AS (
  SELECT
    entity,
    segment,
    period,
    base_at,
    hit
  FROM (
    SELECT
      entity,
      segment,
      period,
      base_at,
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
        base_at,
        CAST(DATE_TRUNC('DAY', base_at) AS TIMESTAMP) AS line_at,
        CAST(NULL AS TIMESTAMP) AS hit_at,
        2 AS place,
        0 AS kind
      FROM cte__base
      UNION ALL
      SELECT
        entity,
        CAST(NULL AS TEXT) AS segment,
        CAST(NULL AS TIMESTAMP) AS period,
        CAST(NULL AS TIMESTAMP) AS base_at,
        seen_at AS line_at,
        seen_at AS hit_at,
        place,
        1 AS kind
      FROM cte__conversions
      WHERE
        entity IN (
          SELECT
            entity
          FROM cte__base
        )
    ) AS time_line
  ) AS looked
  WHERE
    kind = 0
)
SELECT
  segment AS __segment,
  period AS __period,
  COUNT(DISTINCT CASE WHEN NOT (
    hit
  ) IS NULL THEN entity END) AS numerator,
  COUNT(DISTINCT entity) AS denominator,
  COUNT(DISTINCT entity) AS n
FROM cte__followed
GROUP BY
  segment,
  period;
