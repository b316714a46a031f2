SELECT
  CAST((
    DATE_TRUNC('WEEK', (
      (
        "at"
      ) AT TIME ZONE 'America/New_York'
    ) - INTERVAL '6' DAY)
  ) + INTERVAL '6' DAY AS TIMESTAMP) AS __period,
  '' AS __segment,
  COUNT(
    CASE
      WHEN CASE
        WHEN (
          score
        ) >= 4 AND (
          score
        ) <= 5
        THEN 'promoters'
        WHEN (
          score
        ) >= 3 AND (
          score
        ) < 4
        THEN 'passives'
        WHEN (
          score
        ) >= 1 AND (
          score
        ) < 3
        THEN 'detractors'
      END = 'promoters'
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
        ) >= 4 AND (
          score
        ) <= 5
        THEN 'promoters'
        WHEN (
          score
        ) >= 3 AND (
          score
        ) < 4
        THEN 'passives'
        WHEN (
          score
        ) >= 1 AND (
          score
        ) < 3
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
        ) >= 4 AND (
          score
        ) <= 5
        THEN 'promoters'
        WHEN (
          score
        ) >= 3 AND (
          score
        ) < 4
        THEN 'passives'
        WHEN (
          score
        ) >= 1 AND (
          score
        ) < 3
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
        ) >= 4 AND (
          score
        ) <= 5
        THEN 'promoters'
        WHEN (
          score
        ) >= 3 AND (
          score
        ) < 4
        THEN 'passives'
        WHEN (
          score
        ) >= 1 AND (
          score
        ) < 3
        THEN 'detractors'
      END = 'detractors'
      THEN 1
    END
  ) AS detractors
FROM "answers"
WHERE
  (
    (
      "at"
    ) AT TIME ZONE 'America/New_York' >= CAST('2026-07-26 00:00:00' AS TIMESTAMP)
    AND (
      "at"
    ) AT TIME ZONE 'America/New_York' < CAST('2026-11-29 00:00:00' AS TIMESTAMP)
  )
  AND NOT (
    CASE
      WHEN (
        score
      ) >= 4 AND (
        score
      ) <= 5
      THEN 'promoters'
      WHEN (
        score
      ) >= 3 AND (
        score
      ) < 4
      THEN 'passives'
      WHEN (
        score
      ) >= 1 AND (
        score
      ) < 3
      THEN 'detractors'
    END
  ) IS NULL
GROUP BY
  1,
  2;
