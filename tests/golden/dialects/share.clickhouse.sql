SELECT
  CAST(dateTrunc(
    'DAY',
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
  ) AS Nullable(DateTime64(6))) AS __period,
  COALESCE(CAST(platform AS Nullable(String)), '(none)') AS __segment,
  SUM(amount) AS __value,
  COUNT(amount) AS n
FROM "events"
WHERE
  toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
  AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
GROUP BY
  1,
  2;

SELECT
  CAST(dateTrunc(
    'DAY',
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
  ) AS Nullable(DateTime64(6))) AS __period,
  COALESCE(CAST(platform AS Nullable(String)), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM "answers"
WHERE
  toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
  AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
GROUP BY
  1,
  2
