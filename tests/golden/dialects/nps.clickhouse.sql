SELECT
  CAST(dateTrunc(
    'DAY',
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC')
  ) AS Nullable(DateTime64(6))) AS __period,
  COALESCE(CAST(platform AS Nullable(String)), '(none)') AS __segment,
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
    toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') >= CAST('2026-10-01 00:00:00' AS Nullable(DateTime64(6)))
    AND toDateTime64(toString(toTimeZone(toDateTime64("at", 6, 'UTC'), 'Europe/Berlin')), 6, 'UTC') < CAST('2026-11-05 00:00:00' AS Nullable(DateTime64(6)))
  )
  AND NOT (
    (
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
  )
GROUP BY
  1,
  2
