"""Stripe: customers, subscriptions, invoices, charges and refunds. All of them once, then what Stripe's events name.

A Stripe object does not say when it was edited, and lists know no deletions; events do, for 30 days.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from connectors.settings import Span
from connectors.sources.contract import FUTURE, Batch, Cursor, Question, RecordField, SourceOptions, Starter
from connectors.sources.rest.auth import Basic
from connectors.sources.rest.budget import Budget
from connectors.sources.rest.client import Client
from connectors.sources.rest.money import decimal, real
from connectors.sources.rest.paging import Asked, LastId, Page, at, pages
from connectors.sources.rest.source import RestSource
from connectors.sources.rest.spool import Spool
from connectors.sources.rest.subscriptions import subscription_tables
from connectors.sources.rest.windows import Kept, listed, position_in

Row = dict[str, Any]
Record = Mapping[str, Any]
Reads = str | Callable[[Record], Any]

RATE = ((25, 1.0),)  # requests, seconds: of a sandbox, and of one endpoint of a live account, which may be asked 100
PAGE = 100  # records, the most that Stripe gives
REMEMBERED = timedelta(days=29)  # how far back events are asked for; Stripe keeps them 30 days
AHEAD = timedelta(days=1)  # that this machine's clock may be before Stripe's

# Interval of a price → how many of them a month has, the year of 365 days.
A_MONTH = {"day": Decimal(365) / 12, "week": Decimal(365) / 84, "month": Decimal(1), "year": Decimal(1) / 12}
DELETIONS = ("customer.deleted", "invoice.deleted")  # customer.subscription.deleted is its end: the status tells it
EARNING = {"active", "past_due"}  # statuses whose monthly amount is revenue; a trial pays nothing yet


class StripeOptions(SourceOptions):
    """Options of `type: stripe`."""

    resource: Literal["customers", "subscriptions", "invoices", "charges", "refunds"] = Field(
        description="What the table holds: customers, subscriptions, invoices, charges or refunds."
    )
    key: str = Field(description="Secret or restricted key, as ${STRIPE_KEY}.")
    url: str = Field("https://api.stripe.com", description="Address of the API.")
    start: date | None = Field(
        None, description="Only what was created from this day on (UTC), such as 2025-01-01; default: all there is."
    )
    lookback: Span = Field(
        timedelta(minutes=15), description="How far before the last event events are read again, for late ones."
    )
    primary_key: tuple[str, ...] = Field(("id",), description="Columns that name a row.")

    @model_validator(mode="after")
    def _fit(self) -> StripeOptions:
        if self.load in ("append", "replace"):
            raise ValueError("edits of a record take the place of its row, so `load` is merge\nLeave it out.")
        return self


@dataclass(frozen=True)
class Resource:
    """One list of Stripe's. object: what its records call themselves.

    events: parameters that ask for its events. columns: column → its type and where it stands, or what reads it.
    """

    object: str
    events: Mapping[str, Any]
    columns: Mapping[str, tuple[str, Reads]]
    params: Mapping[str, Any]

    def fields(self) -> dict[str, RecordField]:
        """The columns as the engine reads them from the rows that `row` makes."""
        return {column: RecordField((column,), kind) for column, (kind, _) in self.columns.items()}

    def row(self, record: Record, *, deleted: bool = False) -> Row:
        """A record as a row."""
        found = {
            c: reads(record) if callable(reads) else _first(record, reads) for c, (_, reads) in self.columns.items()
        }
        return {**found, "deleted": deleted} if "deleted" in self.columns else found


@dataclass
class Change:
    """What events say of one record. created: of its newest event. row: None where the record must be asked for."""

    created: int
    row: Row | None
    deleted: bool = False


class Stripe(RestSource):
    """Records of one list. The cursor is the moment of the newest event, and a digest of the events before it."""

    Options = StripeOptions
    example = (
        '- {name: subscriptions, type: stripe, table: subscriptions, resource: subscriptions, key: "${STRIPE_KEY}"}'
    )
    starter = Starter(
        (
            Question("key", "Restricted key with Read for Events, Subscriptions, Customers and Charges", secret=True),
            Question("url", "Address of the API", "https://api.stripe.com"),
        ),
        subscription_tables(),
    )

    def pull(self, cursor: Cursor) -> Iterator[Batch]:
        """All records, or those that events since the cursor name. Raises SourceError, retryable if Stripe was gone."""
        since = int(cursor.get("value", 0))
        forgotten = bool(since) and since < (self.now - REMEMBERED).timestamp()
        with self._client() as client:
            if not since or forgotten:
                yield from self._everything(client, since, "" if not forgotten else _told(since))
            else:
                yield from self._changes(client, since, cursor.get("digest", ""))

    def probe(self) -> str:
        """Ask for one record, and for one event."""
        with self._client() as client:
            found = next(self._pages(client, f"v1/{self.options.resource}", self._resource.params, size=1))
            next(self._pages(client, "v1/events", self._resource.events, size=1))
        return f"answers; {'has' if found.records else 'has no'} {self.options.resource}"

    # ---- all records

    def _everything(self, client: Client, since: int, note: str) -> Iterator[Batch]:
        """Every record, newest first. What changes meanwhile has an event after the newest one of the beginning.

        Whole pages wait, with that beginning, for an attempt that goes on after them; it takes the events since, too.
        """
        options: StripeOptions = self.options
        self.notes += [note] if note else []
        with Kept(self.kept, (options.url, options.key, options.resource, options.start, since)) as kept:
            done, goes_on = self._beginning(client, kept.folder)
            covered = datetime.fromtimestamp(int(done["value"]), UTC)
            restart = True
            with Spool(options.name, self._resource.fields(), self.now) as spool:
                for rows in listed(kept.folder, partial(self._listed, client)):
                    for row in rows:
                        spool.add(row)
                    if spool.full:
                        yield Batch(options.table, spool.take(), {}, restart, covered=covered)
                        restart = False
                yield Batch(options.table, spool.take(), done, restart, covered=covered)
        if goes_on:
            yield from self._changes(client, int(done["value"]), done["digest"])

    def _beginning(self, client: Client, folder: Path) -> tuple[dict[str, str], bool]:
        """The cursor of when the list was begun, and whether pages of it wait. They count no longer where events do not
        reach back to then, or the record is gone after which Stripe is asked to go on."""
        options: StripeOptions = self.options
        begun, last = folder / "begun", position_in(folder)
        if last and begun.exists():
            known: dict[str, str] = json.loads(begun.read_text())
            there = client.get(f"v1/{options.resource}/{last}", missing=(404,)).body
            if int(known["value"]) > (self.now - REMEMBERED).timestamp() and there and not there.get("deleted"):
                return known, True
        shutil.rmtree(folder)
        folder.mkdir()
        newest = next(self._pages(client, "v1/events", self._of_events(), size=1)).records
        until = self._until(0, newest)
        done = _cursor(until, self._events(client, until - int(options.lookback.total_seconds())), options.lookback)
        begun.write_text(json.dumps(done))
        return done, False

    def _listed(self, client: Client, last: str) -> Iterator[tuple[list[Any], str]]:
        """Rows after a record, page by page, each page with its last record's id where more follow."""
        params = {**self._resource.params, **self._started(), **({"starting_after": last} if last else {})}
        for page in self._pages(client, f"v1/{self.options.resource}", params):
            more = bool(page.answer.body.get("has_more")) and bool(page.records)
            yield [self._row(client, record) for record in page.records], page.records[-1]["id"] if more else ""

    def _started(self) -> dict[str, Any]:
        return {"created[gte]": self._start()} if self.options.start else {}

    def _start(self) -> int:
        """The first moment at which a record may have been created."""
        start = self.options.start
        return int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) if start else 0

    # ---- what is new

    def _changes(self, client: Client, since: int, digest: str) -> Iterator[Batch]:
        """Records that events name. Nothing if these are the events of last time."""
        options: StripeOptions = self.options
        events = self._events(client, since - int(options.lookback.total_seconds()))
        until = self._until(since, events)
        if _digest(events) == digest and until == since:
            return
        with Spool(options.name, self._resource.fields(), self.now) as spool:
            for key, change in _named(events).items():
                row = change.row if change.row is not None else self._asked(client, key)
                if row is not None and not (self.options.start and (row["created_at"] or 0) < self._start()):
                    spool.add(row)
            done = _cursor(until, events, options.lookback)
            yield Batch(options.table, spool.take(), done, covered=datetime.fromtimestamp(until, UTC))

    def _events(self, client: Client, since: int) -> list[Record]:
        """Events from a moment on, newest first, without the records in them: those are rows by then."""
        params = {**self._of_events(), "created[gte]": since}
        return [self._slim(e) for page in self._pages(client, "v1/events", params) for e in page.records]

    def _of_events(self) -> dict[str, Any]:
        """What asks for events; those of the future are left to it, or nothing would be new any more."""
        return {**self._resource.events, "created[lte]": int((self.now + FUTURE).timestamp())}

    def _slim(self, event: Record) -> Record:
        """An event with a row in place of its record."""
        record, deleted = at(event, "data.object") or {}, event["type"] in DELETIONS
        own = record.get("object") == self._resource.object
        key = record.get("id") if own else _id(record.get(self._resource.object))
        row = self._resource.row(record, deleted=deleted) if own and key and not _is_cut(record) else None
        return {"id": event["id"], "created": int(event["created"]), "key": key, "row": row, "deleted": deleted}

    def _asked(self, client: Client, key: str) -> Row | None:
        """A record as it is now; None if it is gone, which an event will tell or has told."""
        found = client.get(f"v1/{self.options.resource}/{key}", missing=(404,)).body
        return None if found is None or found.get("deleted") else self._row(client, found)

    def _until(self, since: int, events: list[Any]) -> int:
        """The newest event's moment, at least midnight of yesterday: a quiet month must not outlast the events."""
        quiet = (self.now - AHEAD).replace(hour=0, minute=0, second=0, microsecond=0)
        return max([since, int(quiet.timestamp()), *(int(e["created"]) for e in events)])

    # ---- the API

    @property
    def _resource(self) -> Resource:
        return RESOURCES[self.options.resource]

    def _client(self) -> Client:
        options: StripeOptions = self.options
        return Client(
            options.url,
            place=self.place,
            auth=Basic(user=options.key).auth(self.place),
            budget=Budget(*RATE, where=self.where),
            rights=f"A restricted key needs Read for Events and for {options.resource.capitalize()}.",
        )

    def _pages(self, client: Client, path: str, params: Mapping[str, Any], *, size: int = 0) -> Iterator[Page]:
        paging = LastId(param="starting_after", field="id", more="has_more", size_param="limit", size=size or PAGE)
        yield from pages(client, Asked(path, params), paging, "data", where=self.where)

    def _row(self, client: Client, record: Record) -> Row:
        """A record as a row. A subscription of many items is shown with the first ones: all are asked for."""
        if _is_cut(record):
            asked = {"subscription": record["id"]}
            whole = [i for page in self._pages(client, "v1/subscription_items", asked) for i in page.records]
            record = {**record, "items": {"data": whole}}
        return self._resource.row(record)


def _is_cut(record: Record) -> bool:
    """Whether a subscription has more items than are in it."""
    return bool(record.get("object") == "subscription" and at(record, "items.has_more"))


def _named(events: list[Record]) -> dict[str, Change]:
    """Record's id → what its newest event says.

    Which of two events of one second came last nobody tells, so such a record is asked for, unless it is deleted.
    """
    found: dict[str, Change] = {}
    for event in events:
        if not event["key"]:
            continue  # such as invoice.upcoming, whose invoice is none yet
        change = Change(event["created"], event["row"], event["deleted"])
        known = found.get(event["key"])
        if known is None or change.created > known.created or (change.created == known.created and change.deleted):
            found[event["key"]] = change
        elif change.created == known.created and change.row != known.row and not known.deleted:
            known.row = None
    return found


def _told(since: int) -> str:
    day = datetime.fromtimestamp(since, UTC)
    return f"the last event is of {day:%Y-%m-%d}, Stripe tells events of 30 days: everything was pulled again"


def _cursor(until: int, events: list[Record], lookback: timedelta) -> dict[str, str]:
    """The cursor, with a digest of the events that are read again next time."""
    again = [e for e in events if e["created"] >= until - int(lookback.total_seconds())]
    return {"value": str(until), "digest": _digest(again)}


def _digest(events: list[Record]) -> str:
    return hashlib.sha256(",".join(sorted(str(e["id"]) for e in events)).encode()).hexdigest()[:16]


# ---- columns


def _first(record: Record, paths: str) -> Any:
    """What stands at the first of some paths that has anything: versions of the API differ."""
    return next((v for path in paths.split(" | ") if (v := at(record, path)) is not None), None)


def _id(value: Any) -> Any:
    """An id, also where the object was expanded in its place."""
    return value.get("id") if isinstance(value, Mapping) else value


def _reference(paths: str) -> tuple[str, Reads]:
    return "VARCHAR", lambda record: _id(_first(record, paths))


def _amount(path: str) -> tuple[str, Reads]:
    return "DOUBLE", lambda record: real(at(record, path), record.get("currency"))


def _currency(record: Record) -> Any:
    return str(record["currency"]).upper() if record.get("currency") else None


def monthly_amount(subscription: Record) -> float:
    """What its items cost a month, before discounts and taxes, whatever its status.

    Of metered prices and of those in tiers nobody knows the amount beforehand: they count as 0.
    """
    total = sum((_monthly(item) for item in at(subscription, "items.data") or []), Decimal(0))
    return real(total, subscription.get("currency")) or 0.0


def _monthly(item: Record) -> Decimal:
    """Of one item, in the smallest unit."""
    price = item.get("price") or {}
    amount = decimal(_first(price, "unit_amount_decimal | unit_amount"))
    recurring = price.get("recurring") or {}
    if amount is None or recurring.get("usage_type") == "metered" or recurring.get("interval") not in A_MONTH:
        return Decimal(0)
    quantity = Decimal(int(item.get("quantity") or 0))
    if divide := price.get("transform_quantity"):
        down = Decimal(quantity // int(divide["divide_by"]))
        quantity = down + (divide.get("round") == "up" and down * int(divide["divide_by"]) < quantity)
    return amount * quantity * A_MONTH[recurring["interval"]] / int(recurring.get("interval_count") or 1)


def mrr(subscription: Record) -> float:
    """Its monthly recurring revenue: the monthly amount while it is active or past due, else 0."""
    return monthly_amount(subscription) if subscription.get("status") in EARNING else 0.0


def _quantity(subscription: Record) -> int:
    return sum(int(item.get("quantity") or 0) for item in at(subscription, "items.data") or [])


ID: dict[str, tuple[str, Reads]] = {"id": ("VARCHAR", "id"), "created_at": ("epoch_s", "created")}
CURRENCY: dict[str, tuple[str, Reads]] = {"currency": ("VARCHAR", _currency)}
CUSTOMER: dict[str, tuple[str, Reads]] = {"customer_id": _reference("customer")}
METADATA: dict[str, tuple[str, Reads]] = {"metadata": ("JSON", "metadata")}
DELETED: dict[str, tuple[str, Reads]] = {"deleted": ("BOOLEAN", "deleted")}
KINDS = ("created", "updated", "deleted", "paused", "resumed", "trial_will_end")
PENDING = ("pending_update_applied", "pending_update_expired")
RESOURCES = {
    "customers": Resource(
        "customer",
        {"types[]": ["customer.created", "customer.updated", "customer.deleted"]},
        {
            **ID,
            "email": ("VARCHAR", "email"),
            "name": ("VARCHAR", "name"),
            "country": ("VARCHAR", "address.country"),
            **CURRENCY,
            "balance": _amount("balance"),
            "delinquent": ("BOOLEAN", "delinquent"),
            **DELETED,
            **METADATA,
        },
        {},
    ),
    "subscriptions": Resource(
        "subscription",
        {"types[]": [f"customer.subscription.{kind}" for kind in KINDS + PENDING]},
        {
            **ID,
            **CUSTOMER,
            "status": ("VARCHAR", "status"),
            "started_at": ("epoch_s", "start_date"),
            "trial_start": ("epoch_s", "trial_start"),
            "trial_end": ("epoch_s", "trial_end"),
            "current_period_start": ("epoch_s", "current_period_start | items.data.0.current_period_start"),
            "current_period_end": ("epoch_s", "current_period_end | items.data.0.current_period_end"),
            "cancel_at_period_end": ("BOOLEAN", "cancel_at_period_end"),
            "cancel_at": ("epoch_s", "cancel_at"),
            "canceled_at": ("epoch_s", "canceled_at"),
            "ended_at": ("epoch_s", "ended_at"),
            "cancellation_reason": ("VARCHAR", "cancellation_details.feedback | cancellation_details.reason"),
            "collection_paused": ("VARCHAR", "pause_collection.behavior"),
            "price_id": ("VARCHAR", "items.data.0.price.id"),
            "product_id": _reference("items.data.0.price.product"),
            "interval": ("VARCHAR", "items.data.0.price.recurring.interval"),
            "interval_count": ("BIGINT", "items.data.0.price.recurring.interval_count"),
            "quantity": ("BIGINT", _quantity),
            **CURRENCY,
            "monthly_amount": ("DOUBLE", monthly_amount),
            "mrr": ("DOUBLE", mrr),
            "items": ("JSON", "items.data"),
            **METADATA,
        },
        {"status": "all"},  # without it a list leaves out the cancelled ones
    ),
    "invoices": Resource(
        "invoice",
        {"type": "invoice.*"},
        {
            **ID,
            "number": ("VARCHAR", "number"),
            **CUSTOMER,
            "subscription_id": _reference("subscription | parent.subscription_details.subscription"),
            "status": ("VARCHAR", "status"),
            "billing_reason": ("VARCHAR", "billing_reason"),
            "period_start": ("epoch_s", "period_start"),
            "period_end": ("epoch_s", "period_end"),
            "due_at": ("epoch_s", "due_date"),
            "finalized_at": ("epoch_s", "status_transitions.finalized_at"),
            "paid_at": ("epoch_s", "status_transitions.paid_at"),
            "voided_at": ("epoch_s", "status_transitions.voided_at"),
            "attempt_count": ("BIGINT", "attempt_count"),
            **CURRENCY,
            "subtotal": _amount("subtotal"),
            "total": _amount("total"),
            "amount_due": _amount("amount_due"),
            "amount_paid": _amount("amount_paid"),
            "amount_remaining": _amount("amount_remaining"),
            **DELETED,
            **METADATA,
        },
        {},
    ),
    "charges": Resource(
        "charge",
        {"type": "charge.*"},
        {
            **ID,
            **CUSTOMER,
            "invoice_id": _reference("invoice"),
            "payment_intent_id": _reference("payment_intent"),
            "status": ("VARCHAR", "status"),
            "paid": ("BOOLEAN", "paid"),
            "captured": ("BOOLEAN", "captured"),
            "refunded": ("BOOLEAN", "refunded"),
            "disputed": ("BOOLEAN", "disputed"),
            "payment_method": ("VARCHAR", "payment_method_details.type"),
            "failure_code": ("VARCHAR", "failure_code"),
            **CURRENCY,
            "amount": _amount("amount"),
            "amount_captured": _amount("amount_captured"),
            "amount_refunded": _amount("amount_refunded"),
            **METADATA,
        },
        {},
    ),
    "refunds": Resource(
        "refund",
        {"types[]": ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"]},
        {
            **ID,
            "charge_id": _reference("charge"),
            "payment_intent_id": _reference("payment_intent"),
            "status": ("VARCHAR", "status"),
            "reason": ("VARCHAR", "reason"),
            "failure_reason": ("VARCHAR", "failure_reason"),
            **CURRENCY,
            "amount": _amount("amount"),
            **METADATA,
        },
        {},
    ),
}
