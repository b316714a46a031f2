WITH dataset__events AS (
  SELECT
    own.*,
    "other_1"."plan"
  FROM "events" AS own
  LEFT JOIN (
    SELECT
      "user_id" AS joined_key,
      plan AS "plan"
    FROM "people"
  ) AS other_1
    ON "own"."user_id" = other_1.joined_key
)
SELECT
  CAST(DATE_TRUNC('DAY', (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'America/New_York') AS TIMESTAMP) AS __period,
  '' AS __segment,
  SUM(amount) / NULLIF(COUNT(DISTINCT user_id), 0) AS __value,
  COUNT(*) AS n
FROM dataset__events
WHERE
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
GROUP BY
  1,
  2;
