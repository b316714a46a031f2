WITH cte__chosen AS (
  SELECT
    *,
    COALESCE(CAST(platform AS VARCHAR), '(none)') AS window_segment,
    CAST(DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at")) AS TIMESTAMP) AS row_day
  FROM "events"
  WHERE
    CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") >= CAST('2026-09-27 00:00:00' AS TIMESTAMP)
    AND CONVERT_TIMEZONE('UTC', 'Europe/Berlin', "at") < CAST('2026-11-05 00:00:00' AS TIMESTAMP)
), cte__spine AS (
  SELECT
    CAST(listed AS TIMESTAMP) AS window_day
  FROM (VALUES
    ('2026-09-27'),
    ('2026-09-28'),
    ('2026-09-29'),
    ('2026-09-30'),
    ('2026-10-01'),
    ('2026-10-02'),
    ('2026-10-03'),
    ('2026-10-04'),
    ('2026-10-05'),
    ('2026-10-06'),
    ('2026-10-07'),
    ('2026-10-08'),
    ('2026-10-09'),
    ('2026-10-10'),
    ('2026-10-11'),
    ('2026-10-12'),
    ('2026-10-13'),
    ('2026-10-14'),
    ('2026-10-15'),
    ('2026-10-16'),
    ('2026-10-17'),
    ('2026-10-18'),
    ('2026-10-19'),
    ('2026-10-20'),
    ('2026-10-21'),
    ('2026-10-22'),
    ('2026-10-23'),
    ('2026-10-24'),
    ('2026-10-25'),
    ('2026-10-26'),
    ('2026-10-27'),
    ('2026-10-28'),
    ('2026-10-29'),
    ('2026-10-30'),
    ('2026-10-31'),
    ('2026-11-01'),
    ('2026-11-02'),
    ('2026-11-03'),
    ('2026-11-04')) AS days(listed)
)
SELECT
  cte__spine.window_day AS __period,
  cte__chosen.window_segment AS __segment,
  PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY
    amount) AS __value,
  COUNT(amount) AS n
FROM cte__spine
JOIN cte__chosen
  ON cte__chosen.row_day <= cte__spine.window_day
  AND cte__chosen.row_day > cte__spine.window_day - INTERVAL '5 DAY'
GROUP BY
  1,
  2
