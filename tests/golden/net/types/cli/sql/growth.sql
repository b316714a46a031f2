SELECT
  CAST((
    DATE_TRUNC(
      'WEEK',
      (
        (
          (
            "at"
          ) AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'America/New_York'
      ) - INTERVAL '6' DAY
    )
  ) + INTERVAL '6' DAY AS TIMESTAMP) AS __period,
  '' AS __segment,
  COUNT(DISTINCT user_id) AS __value,
  COUNT(DISTINCT user_id) AS n
FROM "events"
WHERE
  (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-26 00:00:00' AS TIMESTAMP)
  AND (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'America/New_York' < CAST('2026-11-29 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;

SELECT
  CAST((
    DATE_TRUNC(
      'WEEK',
      (
        (
          (
            "at"
          ) AT TIME ZONE 'UTC'
        ) AT TIME ZONE 'America/New_York'
      ) - INTERVAL '6' DAY
    )
  ) + INTERVAL '6' DAY AS TIMESTAMP) AS __period,
  '' AS __segment,
  COUNT(DISTINCT user_id) AS __value,
  COUNT(DISTINCT user_id) AS n
FROM "events"
WHERE
  (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-19 00:00:00' AS TIMESTAMP)
  AND (
    (
      "at"
    ) AT TIME ZONE 'UTC'
  ) AT TIME ZONE 'America/New_York' < CAST('2026-11-22 00:00:00' AS TIMESTAMP)
GROUP BY
  1,
  2;
