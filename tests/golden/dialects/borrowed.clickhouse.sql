WITH dataset__orders AS (
  SELECT
    own.*,
    "other_1"."plan"
  FROM "events" AS own
  LEFT JOIN (
    SELECT
      "person_id" AS joined_key,
      plan AS "plan"
    FROM "people"
  ) AS other_1
    ON "own"."user_id" = other_1.joined_key
)
SELECT
  CAST(dateTrunc(
    'DAY',
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
  ) AS Nullable(DateTime64(6))) AS __period,
  COALESCE(CAST("plan" AS Nullable(String)), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM dataset__orders
WHERE
  toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
  AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
GROUP BY
  1,
  2
