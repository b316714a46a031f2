WITH dataset__orders AS (
  SELECT
    own.*,
    `other_1`.`plan`
  FROM `events` AS own
  LEFT JOIN (
    SELECT
      `person_id` AS joined_key,
      plan AS `plan`
    FROM `people`
  ) AS other_1
    ON `own`.`user_id` = other_1.joined_key
)
SELECT
  CAST(TIMESTAMP_TRUNC(DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin'), DAY) AS DATETIME) AS __period,
  COALESCE(CAST(`plan` AS STRING), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM dataset__orders
WHERE
  DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') >= CAST('2026-10-01 00:00:00' AS DATETIME)
  AND DATETIME(TIMESTAMP(`at`, 'UTC'), 'Europe/Berlin') < CAST('2026-11-05 00:00:00' AS DATETIME)
GROUP BY
  1,
  2
