SELECT
  CAST(DATE_TRUNC('DAY', CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP)) AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS VARCHAR), '(none)') AS __segment,
  COUNT(
    CASE
      WHEN CASE
        WHEN (
          score
        ) >= 9 AND (
          score
        ) <= 10
        THEN 'promoters'
        WHEN (
          score
        ) >= 7 AND (
          score
        ) < 9
        THEN 'passives'
        WHEN (
          score
        ) >= 0 AND (
          score
        ) < 7
        THEN 'detractors'
      END = 'promoters'
      THEN 1
    END
  ) - COUNT(
    CASE
      WHEN CASE
        WHEN (
          score
        ) >= 9 AND (
          score
        ) <= 10
        THEN 'promoters'
        WHEN (
          score
        ) >= 7 AND (
          score
        ) < 9
        THEN 'passives'
        WHEN (
          score
        ) >= 0 AND (
          score
        ) < 7
        THEN 'detractors'
      END = 'detractors'
      THEN 1
    END
  ) AS numerator,
  COUNT(*) AS denominator,
  COUNT(*) AS n,
  COUNT(
    CASE
      WHEN CASE
        WHEN (
          score
        ) >= 9 AND (
          score
        ) <= 10
        THEN 'promoters'
        WHEN (
          score
        ) >= 7 AND (
          score
        ) < 9
        THEN 'passives'
        WHEN (
          score
        ) >= 0 AND (
          score
        ) < 7
        THEN 'detractors'
      END = 'promoters'
      THEN 1
    END
  ) AS promoters,
  COUNT(
    CASE
      WHEN CASE
        WHEN (
          score
        ) >= 9 AND (
          score
        ) <= 10
        THEN 'promoters'
        WHEN (
          score
        ) >= 7 AND (
          score
        ) < 9
        THEN 'passives'
        WHEN (
          score
        ) >= 0 AND (
          score
        ) < 7
        THEN 'detractors'
      END = 'passives'
      THEN 1
    END
  ) AS passives,
  COUNT(
    CASE
      WHEN CASE
        WHEN (
          score
        ) >= 9 AND (
          score
        ) <= 10
        THEN 'promoters'
        WHEN (
          score
        ) >= 7 AND (
          score
        ) < 9
        THEN 'passives'
        WHEN (
          score
        ) >= 0 AND (
          score
        ) < 7
        THEN 'detractors'
      END = 'detractors'
      THEN 1
    END
  ) AS detractors
FROM "answers"
WHERE
  (
    CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) >= CAST('2026-10-01 00:00:00' AS TIMESTAMP)
    AND CAST(AT_TIMEZONE(WITH_TIMEZONE("at", 'UTC'), 'Europe/Berlin') AS TIMESTAMP) < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
  )
  AND NOT (
    CASE
      WHEN (
        score
      ) >= 9 AND (
        score
      ) <= 10
      THEN 'promoters'
      WHEN (
        score
      ) >= 7 AND (
        score
      ) < 9
      THEN 'passives'
      WHEN (
        score
      ) >= 0 AND (
        score
      ) < 7
      THEN 'detractors'
    END
  ) IS NULL
GROUP BY
  1,
  2
