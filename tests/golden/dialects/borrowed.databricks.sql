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
  CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`)) AS TIMESTAMP) AS __period,
  COALESCE(CAST(`plan` AS STRING), '(none)') AS __segment,
  COUNT(*) AS __value,
  COUNT(*) AS n
FROM dataset__orders
WHERE
  CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
  AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', `at`) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2
