SELECT
  CAST(dateTrunc(
    'WEEK',
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
  ) AS Nullable(DateTime64(6))) AS __period,
  COALESCE(CAST(platform AS Nullable(String)), '(none)') AS __segment,
  quantileExactInclusiveOrNull(0.5)(amount) AS __value,
  COUNT(amount) AS n
FROM "events"
WHERE
  toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-09-28 00:00:00' AS Nullable(DateTime64(6)))
  AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-09 00:00:00' AS Nullable(DateTime64(6)))
GROUP BY
  1,
  2
