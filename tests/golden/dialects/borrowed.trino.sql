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
  CAST(DATE_TRUNC('DAY', CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  COALESCE(CAST("plan" AS VARCHAR), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM dataset__orders
WHERE
  CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
  AND CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
