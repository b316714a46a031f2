WITH cte__reached_1 AS (
  SELECT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'DAY',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    MIN(
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS first_at,
    MIN(
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS reached_at,
    1 AS first_there
  FROM "signups"
  WHERE
    (
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
      AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
    )
    AND NOT (
      (
        "user_id"
      ) IS NULL
    )
  GROUP BY
    1,
    2,
    3
), cte__hits_2 AS (
  SELECT
    "user_id" AS entity,
    CAST("at" AS Nullable(DateTime64(6))) AS seen_at,
    1 AS place
  FROM "payments"
  WHERE
    (
      CAST("at" AS Nullable(DateTime64(6))) >= CAST('2026-09-30 00:00:00' AS Nullable(DateTime64(6)))
      AND CAST("at" AS Nullable(DateTime64(6))) < CAST('2026-11-12 00:00:00' AS Nullable(DateTime64(6)))
    )
    AND NOT (
      (
        "user_id"
      ) IS NULL
    )
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
          CAST(dateTrunc('DAY', reached_at) AS Nullable(DateTime64(6))) AS line_at,
          CAST(NULL AS Nullable(DateTime64(6))) AS hit_at,
          first_there * 2 AS place,
          0 AS kind
        FROM cte__reached_1
        UNION ALL
        SELECT
          entity,
          CAST(NULL AS Nullable(String)) AS segment,
          CAST(NULL AS Nullable(DateTime64(6))) AS period,
          CAST(NULL AS Nullable(DateTime64(6))) AS first_at,
          CAST(NULL AS Nullable(DateTime64(6))) AS reached_at,
          CAST(NULL AS Nullable(Int64)) AS first_there,
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
    hit < first_at + INTERVAL '6' DAY
), cte__hits_3 AS (
  SELECT
    "user_id" AS entity,
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') AS seen_at,
    1 AS place
  FROM "events"
  WHERE
    (
      (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-30 00:00:00' AS Nullable(DateTime64(6)))
        AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-12 00:00:00' AS Nullable(DateTime64(6)))
      )
      AND NOT (
        (
          "user_id"
        ) IS NULL
      )
    )
    AND kind = 'buy'
), cte__reached_3 AS (
  SELECT
    entity,
    segment,
    period,
    first_at,
    GREATEST(reached_at, hit) AS reached_at,
    CASE WHEN GREATEST(reached_at, hit) > reached_at THEN 3 ELSE first_there END AS first_there
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
          reached_at AS line_at,
          CAST(NULL AS Nullable(DateTime64(6))) AS hit_at,
          first_there * 2 AS place,
          0 AS kind
        FROM cte__reached_2
        UNION ALL
        SELECT
          entity,
          CAST(NULL AS Nullable(String)) AS segment,
          CAST(NULL AS Nullable(DateTime64(6))) AS period,
          CAST(NULL AS Nullable(DateTime64(6))) AS first_at,
          CAST(NULL AS Nullable(DateTime64(6))) AS reached_at,
          CAST(NULL AS Nullable(Int64)) AS first_there,
          seen_at AS line_at,
          seen_at AS hit_at,
          place,
          1 AS kind
        FROM cte__hits_3
        WHERE
          entity IN (
            SELECT
              entity
            FROM cte__reached_2
          )
      ) AS time_line
    ) AS looked
    WHERE
      kind = 0
  ) AS came_next
  WHERE
    hit < first_at + INTERVAL '6' DAY
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
  step
