WITH cte__base AS (
  SELECT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'DAY',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    "at" AS base_at
  FROM "events"
  WHERE
    (
      (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
        AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
      )
      AND NOT (
        (
          "user_id"
        ) IS NULL
      )
    )
    AND kind = 'buy'
), cte__conversions AS (
  SELECT
    "user_id" AS entity,
    "at" AS seen_at,
    CASE WHEN (
      kind = 'buy'
    ) THEN 3 ELSE 1 END AS place
  FROM "events"
  WHERE
    (
      (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-30 00:00:00' AS Nullable(DateTime64(6)))
        AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-26 00:00:00' AS Nullable(DateTime64(6)))
      )
      AND NOT (
        (
          "user_id"
        ) IS NULL
      )
    )
    AND kind = 'buy'
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
        base_at AS line_at,
        CAST(NULL AS Nullable(DateTime64(6))) AS hit_at,
        2 AS place,
        0 AS kind
      FROM cte__base
      UNION ALL
      SELECT
        entity,
        CAST(NULL AS Nullable(String)) AS segment,
        CAST(NULL AS Nullable(DateTime64(6))) AS period,
        CAST(NULL AS Nullable(DateTime64(6))) AS base_at,
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
  COUNT(DISTINCT CASE WHEN hit < base_at + INTERVAL '20' DAY THEN entity END) AS numerator,
  COUNT(DISTINCT entity) AS denominator,
  COUNT(DISTINCT entity) AS n
FROM cte__followed
GROUP BY
  segment,
  period
