WITH dataset__events AS (
  SELECT
    *
  FROM "events"
)
SELECT
  CAST(dateTrunc('DAY', CAST(given.period AS Nullable(DateTime64(6)))) AS Nullable(DateTime64(6))) AS __period,
  '' AS __segment,
  SUM(given.value) AS __value
FROM (
  SELECT
    dateTrunc('DAY', "at") AS period,
    platform,
    COUNT(*) AS value
  FROM dataset__events AS events
  GROUP BY
    dateTrunc('DAY', "at"),
    platform
) AS given
WHERE
  CAST(given.period AS Nullable(DateTime64(6))) >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
  AND CAST(given.period AS Nullable(DateTime64(6))) < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
GROUP BY
  1,
  2
