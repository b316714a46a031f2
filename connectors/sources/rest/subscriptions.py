"""First KPIs of subscriptions, customers and charges, for `kpi add source`: recurring revenue, who leaves, refunds.

Each subscription counts with the amount that it has today, from its first paid day to its end. Money is added up
within one currency only: of several the whole is unknown, and each is shown by the dimension `currency`.
"""

from __future__ import annotations

from connectors.sources.contract import StarterTable

# first_day: the first whose evening has the subscription; last_day: the first whose evening has it no more.
PAID = """\
WITH paid AS (
    SELECT customer_id, currency, monthly_amount AS amount,
      CAST(coalesce(trial_end, started_at, created_at) AS DATE) AS first_day, CAST(ended_at AS DATE) AS last_day
    FROM <subscriptions>
    WHERE status IN ('active', 'past_due', 'canceled') AND monthly_amount > 0
      AND (ended_at IS NULL OR ended_at > coalesce(trial_end, started_at, created_at))
  )"""

DAYS = f"""\
sql: |
  {PAID},
  moves AS (
    SELECT currency, first_day AS day, amount, 1 AS n FROM paid
    UNION ALL SELECT currency, last_day, -amount, -1 FROM paid WHERE last_day IS NOT NULL
  ),
  daily AS (SELECT currency, day, sum(amount) AS amount, sum(n) AS n FROM moves GROUP BY currency, day),
  days AS (
    SELECT currency, CAST(unnest(generate_series(min(day), CAST(now() AS DATE), INTERVAL 1 DAY)) AS DATE) AS day
    FROM daily GROUP BY currency
  )
  SELECT days.day, days.currency,
    round(sum(daily.amount) OVER (PARTITION BY days.currency ORDER BY days.day), 6) AS mrr,
    sum(daily.n) OVER (PARTITION BY days.currency ORDER BY days.day) AS subscriptions
  FROM days LEFT JOIN daily ON daily.currency = days.currency AND daily.day = days.day
time_dimension: day
primary_key: [day, currency]
dimensions: [currency]"""

MONTHS = f"""\
sql: |
  {PAID},
  months AS (
    SELECT CAST(unnest(generate_series(date_trunc('month', min(first_day)), CAST(now() AS DATE), INTERVAL 1 MONTH))
      AS DATE) AS month
    FROM paid
  ),
  customers AS (
    SELECT month, currency, customer_id,
      sum(amount) FILTER (WHERE first_day < month AND (last_day IS NULL OR last_day >= month)) AS opening,
      coalesce(sum(amount) FILTER (WHERE first_day < month + INTERVAL 1 MONTH
        AND (last_day IS NULL OR last_day >= month + INTERVAL 1 MONTH)), 0) AS closing
    FROM months, paid WHERE first_day < month + INTERVAL 1 MONTH AND (last_day IS NULL OR last_day >= month)
    GROUP BY month, currency, customer_id
  )
  SELECT month, currency, sum(opening) AS opening, sum(closing) AS closing,
    sum(greatest(opening - closing, 0)) AS lost, count(*) AS customers, count(*) FILTER (WHERE closing = 0) AS gone
  FROM customers WHERE opening > 0 GROUP BY month, currency
time_dimension: month
primary_key: [month, currency]
dimensions: [currency]"""

TODAYS = "Each subscription counts with the amount that it has today: what it was before an edit, Stripe does not keep."
UNPAID = "One that Stripe calls unpaid or paused counts as never paid."
ONE = "Of several currencies the whole is unknown: look at it by currency."


def _one(total: str, among: str = "TRUE") -> str:
    """A sum of money, if it is of one currency."""
    return f'"CASE WHEN count(DISTINCT currency) FILTER (WHERE {among}) <= 1 THEN coalesce({total}, 0) END"'


def _money(label: str, description: str, body: str) -> str:
    return f'label: {label}\narea: Revenue\ndescription: "{description}"\n{body}'


def subscription_tables() -> tuple[StarterTable, ...]:
    """Subscriptions with what they earn by day and by month, customers, charges."""
    opening = f"denominator: {{dataset: <months>, sql: {_one('sum(opening)')}}}\ngrain: month\nformat: percent"
    shares = {
        "mrr_churn": _money(
            "MRR churn",
            f"Share of the MRR at the start of the month that its customers no longer paid at the end. {UNPAID} "
            f"{TODAYS} {ONE}",
            f"type: ratio\nnumerator: {{dataset: <months>, sql: {_one('sum(lost)')}}}\n{opening}\n"
            "direction: down_is_good",
        ),
        "net_revenue_retention": _money(
            "Net revenue retention",
            "MRR at the end of the month of the customers that paid at its start, divided by their MRR at its start. "
            f"{TODAYS} {ONE}",
            f"type: ratio\nnumerator: {{dataset: <months>, sql: {_one('sum(closing)')}}}\n{opening}",
        ),
        "customer_churn": _money(
            "Customer churn",
            f"Share of the customers that paid at the start of the month and no longer at its end. {UNPAID}",
            "type: ratio\nnumerator: {dataset: <months>, agg: sum, expr: gone}\n"
            "denominator: {dataset: <months>, agg: sum, expr: customers}\ngrain: month\nformat: percent\n"
            "direction: down_is_good",
        ),
    }
    balances = {
        "mrr": _money(
            "MRR",
            f"Monthly recurring revenue at the end of each day, before discounts and taxes. {TODAYS} {ONE}",
            f"dataset: <days>\nsql: {_one('sum(mrr)', 'subscriptions > 0')}\ngrain: day\nperiod_agg: last",
        ),
        "paying_subscriptions": _money(
            "Paying subscriptions",
            "Subscriptions that are paid for at the end of each day.",
            "dataset: <days>\nagg: sum\nexpr: subscriptions\ngrain: day\nperiod_agg: last",
        ),
    }
    return (
        StarterTable(
            "subscriptions",
            {"resource": "subscriptions"},
            "time_dimension: created_at\nentity: customer_id\nprimary_key: id\n"
            "dimensions: [currency, status, interval]",
            {**balances, **shares},
            {"days": DAYS, "months": MONTHS},
        ),
        StarterTable(
            "customers",
            {"resource": "customers"},
            "time_dimension: created_at\nentity: id\nprimary_key: id\ndimensions: [country, currency]",
            {
                "new_customers": _money(
                    "New customers", "Customers that were created.", "dataset: <customers>\nagg: count\ngrain: week"
                )
            },
        ),
        _charges(),
    )


def _charges() -> StarterTable:
    return StarterTable(
        "charges",
        {"resource": "charges"},
        "sql: SELECT * FROM <charges> WHERE status = 'succeeded'\ntime_dimension: created_at\nentity: customer_id\n"
        "primary_key: id\ndimensions: [currency, payment_method]",
        {
            "payments": _money(
                "Payments",
                f"What charges brought, before refunds and fees. {ONE}",
                f"dataset: <charges>\nsql: {_one('sum(amount)')}\ngrain: week",
            ),
            "refunded_share": _money(
                "Refunded share",
                f"Share of the charged amount that was given back since, by the week of the charge. {ONE}",
                f"type: ratio\nnumerator: {{dataset: <charges>, sql: {_one('sum(amount_refunded)')}}}\n"
                f"denominator: {{dataset: <charges>, sql: {_one('sum(amount)')}}}\ngrain: week\nformat: percent\n"
                "direction: down_is_good",
            ),
        },
    )
