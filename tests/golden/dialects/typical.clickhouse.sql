WITH cte__chosen AS (
  SELECT
    *,
    COALESCE(CAST(platform AS Nullable(String)), '(none)') AS window_segment,
    CAST(dateTrunc(
      'DAY',
      toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
    ) AS Nullable(DateTime64(6))) AS row_day
  FROM "events"
  WHERE
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-27 00:00:00' AS Nullable(DateTime64(6)))
    AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
), cte__spine AS (
  SELECT
    CAST(listed AS Nullable(DateTime64(6))) AS window_day
  FROM (
    SELECT
      '2026-09-27' AS listed
    UNION ALL
    SELECT
      '2026-09-28'
    UNION ALL
    SELECT
      '2026-09-29'
    UNION ALL
    SELECT
      '2026-09-30'
    UNION ALL
    SELECT
      '2026-10-01'
    UNION ALL
    SELECT
      '2026-10-02'
    UNION ALL
    SELECT
      '2026-10-03'
    UNION ALL
    SELECT
      '2026-10-04'
    UNION ALL
    SELECT
      '2026-10-05'
    UNION ALL
    SELECT
      '2026-10-06'
    UNION ALL
    SELECT
      '2026-10-07'
    UNION ALL
    SELECT
      '2026-10-08'
    UNION ALL
    SELECT
      '2026-10-09'
    UNION ALL
    SELECT
      '2026-10-10'
    UNION ALL
    SELECT
      '2026-10-11'
    UNION ALL
    SELECT
      '2026-10-12'
    UNION ALL
    SELECT
      '2026-10-13'
    UNION ALL
    SELECT
      '2026-10-14'
    UNION ALL
    SELECT
      '2026-10-15'
    UNION ALL
    SELECT
      '2026-10-16'
    UNION ALL
    SELECT
      '2026-10-17'
    UNION ALL
    SELECT
      '2026-10-18'
    UNION ALL
    SELECT
      '2026-10-19'
    UNION ALL
    SELECT
      '2026-10-20'
    UNION ALL
    SELECT
      '2026-10-21'
    UNION ALL
    SELECT
      '2026-10-22'
    UNION ALL
    SELECT
      '2026-10-23'
    UNION ALL
    SELECT
      '2026-10-24'
    UNION ALL
    SELECT
      '2026-10-25'
    UNION ALL
    SELECT
      '2026-10-26'
    UNION ALL
    SELECT
      '2026-10-27'
    UNION ALL
    SELECT
      '2026-10-28'
    UNION ALL
    SELECT
      '2026-10-29'
    UNION ALL
    SELECT
      '2026-10-30'
    UNION ALL
    SELECT
      '2026-10-31'
    UNION ALL
    SELECT
      '2026-11-01'
    UNION ALL
    SELECT
      '2026-11-02'
    UNION ALL
    SELECT
      '2026-11-03'
    UNION ALL
    SELECT
      '2026-11-04'
  ) AS days
)
SELECT
  cte__spine.window_day AS __period,
  cte__chosen.window_segment AS __segment,
  quantileExactInclusiveOrNull(0.5)(amount) AS __value,
  COUNT(amount) AS n
FROM cte__spine
JOIN cte__chosen
  ON cte__chosen.row_day <= cte__spine.window_day
  AND cte__chosen.row_day > cte__spine.window_day - INTERVAL '5' DAY
GROUP BY
  1,
  2
