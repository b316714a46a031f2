WITH cte__every AS (
  SELECT
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS segment,
    "user_id" AS entity,
    CAST(dateTrunc(
      'DAY',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS period,
    CAST(dateTrunc(
      'DAY',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS day,
    "at" AS at_1,
    CASE
      WHEN (
        toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
        AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
      )
      AND kind = 'view'
      THEN 1
      ELSE 0
    END AS is_1,
    lead(CASE WHEN kind = 'cart' THEN 1 ELSE 0 END, 1) OVER (PARTITION BY "user_id" ORDER BY "at", "event_id") AS is_2,
    lead("at", 1) OVER (PARTITION BY "user_id" ORDER BY "at", "event_id") AS at_2,
    lead(CASE WHEN kind = 'buy' THEN 1 ELSE 0 END, 2) OVER (PARTITION BY "user_id" ORDER BY "at", "event_id") AS is_3,
    lead("at", 2) OVER (PARTITION BY "user_id" ORDER BY "at", "event_id") AS at_3
  FROM "events"
  WHERE
    (
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
      AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-10 00:00:00' AS Nullable(DateTime64(6)))
    )
    AND NOT (
      (
        "user_id"
      ) IS NULL
    )
), cte__best AS (
  SELECT
    segment,
    entity,
    period,
    MAX(
      CASE
        WHEN is_2 = 1 AND at_2 < at_1 + INTERVAL '4' DAY
        THEN CASE WHEN is_3 = 1 AND at_3 < at_1 + INTERVAL '4' DAY THEN 3 ELSE 2 END
        ELSE 1
      END
    ) AS depth
  FROM cte__every
  WHERE
    is_1 = 1
  GROUP BY
    segment,
    entity,
    period
)
SELECT
  segment AS __segment,
  period AS __period,
  SUM(CASE WHEN depth >= 1 THEN 1 ELSE 0 END) AS step_1,
  SUM(CASE WHEN depth >= 2 THEN 1 ELSE 0 END) AS step_2,
  SUM(CASE WHEN depth >= 3 THEN 1 ELSE 0 END) AS step_3
FROM cte__best
GROUP BY
  segment,
  period
