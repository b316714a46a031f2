SELECT
  CAST(DATE_TRUNC('WEEK', (
    "submitted_at"
  ) AT TIME ZONE 'UTC') AS TIMESTAMP) AS __period,
  '' AS __segment,
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
FROM "feedback"
WHERE
  (
    (
      "submitted_at"
    ) AT TIME ZONE 'UTC' >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
    AND (
      "submitted_at"
    ) AT TIME ZONE 'UTC' < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
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
  2;

-- by the first dimension;

SELECT
  CAST(DATE_TRUNC('WEEK', (
    "submitted_at"
  ) AT TIME ZONE 'UTC') AS TIMESTAMP) AS __period,
  COALESCE(CAST(platform AS TEXT), '(none)') AS __segment,
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
FROM "feedback"
WHERE
  (
    (
      "submitted_at"
    ) AT TIME ZONE 'UTC' >= CAST('2025-10-20 00:00:00' AS TIMESTAMP)
    AND (
      "submitted_at"
    ) AT TIME ZONE 'UTC' < CAST('2026-11-23 00:00:00' AS TIMESTAMP)
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
