"""settings.yml and the environment, as frozen values. Reading the file is the composition root's work."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from connectors.buckets import S3Access
from connectors.cage.limits import Limits
from connectors.errors import SettingsError, did_you_mean
from connectors.machine import this_machine
from connectors.outbound import listing
from connectors.roles import EVERYBODY, Role
from connectors.secrets import NAMED, hide
from connectors.webhooks import Webhook

LEAST_MEMORY = 10**9  # bytes
LONGEST_SESSION = timedelta(days=30)  # that Streamlit keeps who signed in
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


LEAST_AUDIT, LONGEST_AUDIT = timedelta(days=30), timedelta(days=365 * 100)
SPANS = {
    "s": "seconds",
    "sec": "seconds",
    "second": "seconds",
    "min": "minutes",
    "minute": "minutes",
    "h": "hours",
    "hour": "hours",
    "d": "days",
    "day": "days",
    "w": "weeks",
    "week": "weeks",
}


def span(text: Any) -> Any:
    """`2d`, `6 hours`, `30 min` as a timedelta. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+)\s*([a-z]+?)s?\s*", str(text))
    if isinstance(text, timedelta) or not text:
        return text or timedelta(0)
    if not match or match.group(2) not in SPANS:
        raise ValueError(f"'{text}' is not a duration\nWrite one such as 2d, 6h or 30 minutes.")
    try:
        return timedelta(**{SPANS[match.group(2)]: int(match.group(1))})
    except (OverflowError, ValueError):  # ValueError: more digits than Python reads
        raise ValueError(f"'{str(text)[:40]}' is longer than any time\nWrite one such as 2d or 90d.") from None


def listed(said: Any, what: str) -> list[str]:
    """A list of texts, or one. Raises ValueError for anything else, and for an empty one: it would hold for nobody."""
    found = [said] if isinstance(said, str) else said
    if not isinstance(found, (list, tuple)) or not found or not all(isinstance(item, str) for item in found):
        raise ValueError(f"there is no {what} in it\nWrite a list such as [a, b], or leave the key out.")
    return list(found)


def years(text: Any) -> Any:
    """As `span`, and `2y`: years of 365 days. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d{1,4})\s*(?:y|years?)\s*", str(text))
    return timedelta(days=365 * int(match[1])) if match else span(text)


Span = Annotated[timedelta, BeforeValidator(span)]


MAPPED = IPv6Network("::ffff:0:0/96")  # IPv4 on a socket of both
LEAST_PREFIX = {4: 16, 6: 48}  # of a network that a proxy may be in
FOREIGN_HEADERS = re.compile(
    r"accept.*|authorization|connection|content-.*|cookie|forwarded|host|origin|referer|sec-.*|upgrade|user-agent|via|"
    r"x-csrftoken|x-forwarded-(for|host|proto)|x-kpi-.*|x-real-ip"
)


class ContactPoint(BaseModel):
    """Where alerts go. {owner} in the address stands for a KPI's owner."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    url: str = Field(description="An address such as mailto:… or slack:…; secrets as ${ENV_NAME}.")
    role: str = Field("", description="Role of those who read there: what it does not see is not sent.")


class SignInProxy(BaseModel):
    """A reverse proxy that signs people in, and says in headers who asks."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    addresses: tuple[str, ...] = Field(
        min_length=1, description="Where it connects from: addresses and networks, such as 127.0.0.1 or 10.0.0.0/24."
    )
    user: str = Field("X-Forwarded-Email", description="Header with the person's address or name.")
    groups: str = Field("X-Forwarded-Groups", description="Header with their groups, comma between them.")

    @field_validator("addresses", mode="before")
    @classmethod
    def _networks(cls, said: Any) -> Any:
        found = listed(said, "address")
        for item in found:
            try:
                network = ip_network(item)
            except ValueError:
                raise ValueError(f"'{item}' is no address\nWrite one such as 10.0.0.7 or 10.0.0.0/24.") from None
            mapped = network.version == 6 and network.overlaps(MAPPED)
            if mapped or network.prefixlen < LEAST_PREFIX[network.version]:
                raise ValueError(
                    f"'{item}' is too many machines, and each could say who it is\nName the proxy's address."
                )
        return found

    @field_validator("user", "groups")
    @classmethod
    def _header(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9-]+", name):
            raise ValueError(f"'{name}' is no name of a header\nWrite one such as X-Forwarded-Email.")
        if FOREIGN_HEADERS.fullmatch(name.lower()):
            raise ValueError(f"'{name}' is a header that says something else\nWrite one such as X-Forwarded-Email.")
        return name

    def names(self, address: str) -> bool:
        """Whether an address is one of the proxy's."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)  # an IPv4 proxy on a socket of both
        return any(one in ip_network(item) for item in self.addresses for one in (found, mapped) if one is not None)


class Log(BaseModel):
    """What the command and the server write to stderr for operators."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal["text", "json"] = "text"
    level: Literal["", "debug", "info", "warning", "error"] = Field(
        "", description="Least that is written; default error for the command, info for the server."
    )


class Settings(BaseModel):
    """Everything of settings.yml. All keys are optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", description="Shown in the page header; default the folder's name.")
    timezone: str = Field("UTC", description="Zone whose midnights bound days, weeks and months.")
    week_start: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    holidays: str = Field("", description="Country code; a KPI may override it.")
    currency: str = Field("USD", description="Currency of `format: currency`.")
    warehouse: str = Field(
        "",
        description="URL of the engine that has the rows (docs/scale-out.md); empty or duckdb = they are loaded here.",
    )
    lake: str = Field(
        "",
        description="Folder, or s3://bucket/prefix, that a sync writes loaded rows to as Parquet, for the engine of "
        "`warehouse` to compute from; the same place where that runs (docs/scale-out.md).",
    )
    lake_access: S3Access = Field(S3Access(), description="How the bucket of `lake` is reached.")
    state: str = Field("", description="URL of the state store; empty = SQLite in the data folder.")
    sync_every: str = Field(
        "1d", description="How often a sync is due; half as late again shows a banner. never = not."
    )
    memory_limit: str = Field(
        default_factory=lambda: this_machine().loading,
        description="Most memory that loading may take; default half of what the machine allows, at most 16GB.",
    )
    query_memory: str = Field(
        default_factory=lambda: this_machine().query,
        description="Most memory of a process that computes definitions; default a quarter, from 1GB to 2GB.",
    )
    share_from: str = Field(
        "1GB", description="Size of a generation from which its large tables lie in files that generations share."
    )
    query_timeout: Span = Field(timedelta(seconds=60), description="Most time for one computation of a definition.")
    query_rows: int = Field(
        10**9, ge=0, description="Most rows that a question may read in an engine by URL, where that tells; 0 = any."
    )
    query_bytes: str = Field("100GB", description="Most bytes of the same; 0GB = any.")
    query_processes: int = Field(2, ge=1, le=64, description="Definitions that compute at a time, each in a process.")
    threads: int = Field(
        default_factory=lambda: this_machine().threads,
        ge=1,
        description="Threads of one process's queries; default the cores that are allowed, at most 8.",
    )
    url: str = Field("", description="Address of the dashboard, for links in messages and files; empty = none.")
    contact_points: tuple[ContactPoint, ...] = ()
    webhooks: tuple[Webhook, ...] = Field((), description="Programs told of what happens (docs/api.md).")
    operators: tuple[str, ...] = Field((), description="Contact points told of late sources; default `default`.")
    editors: tuple[str, ...] = Field(
        (), description="Who may add sources on the page Data: names as they sign in, or `everybody`; default nobody."
    )
    roles: tuple[Role, ...] = Field(
        (), description="What whom is shown and allowed (docs/roles.md); default everything to everybody."
    )
    log: Log = Log()
    sign_in: bool = Field(False, description="True = nobody sees a page before signing in (OIDC, Streamlit's [auth]).")
    sign_in_domains: tuple[str, ...] = Field(
        (), description="Mail domains whose people may see the pages, such as example.com; default everybody."
    )
    sign_in_groups: tuple[str, ...] = Field(
        (), description="Groups whose members may see the pages, as the provider names them; default everybody."
    )
    sign_in_claim: str = Field("groups", description="Claim of the provider that lists a person's groups.")
    sign_in_proxy: SignInProxy | None = Field(
        None, description="A reverse proxy that signs people in itself; then no provider is asked."
    )
    session_length: Span = Field(
        LONGEST_SESSION, description="Time after which one has to sign in again; at most 30 days."
    )
    audit_keep: Annotated[timedelta, BeforeValidator(years)] = Field(
        timedelta(0), description="Age at which entries of the audit go, such as 2y; at least 30d; default never."
    )
    outbound_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts that webhooks, sources and contact points may connect to: names, *.example.com, addresses "
        "and networks; default all but metadata addresses, for webhooks public ones only.",
    )
    demo: bool = Field(False, description="True = `kpi demo` keeps this project's data files fresh.")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            # PydanticCustomError would lose the hint; the text carries it.
            raise ValueError(f"unknown time zone '{zone}'. {_nearest_zone(zone)}") from None
        return zone

    @field_validator("sign_in_domains", mode="before")
    @classmethod
    def _plain_domains(cls, domains: Any) -> Any:
        found = [item.strip().lower().lstrip("@") for item in listed(domains, "domain")]
        wrong = [name for name in found if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", name)]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is no mail domain\nWrite what stands after the @, such as example.com.")
        return found

    @field_validator("outbound_hosts", mode="before")
    @classmethod
    def _hosts(cls, said: Any) -> Any:
        return [listing(item) for item in listed(said, "host")]

    @field_validator("sign_in_groups", mode="before")
    @classmethod
    def _one_group(cls, said: Any) -> Any:
        return listed(said, "group")

    @field_validator("editors")
    @classmethod
    def _small_addresses(cls, editors: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower() if "@" in name else name for name in editors)

    @field_validator("session_length")
    @classmethod
    def _some_session(cls, length: timedelta) -> timedelta:
        if not timedelta(minutes=5) <= length <= LONGEST_SESSION:
            raise ValueError("a session lasts 5 minutes to 30 days\nWrite a span such as 12h or 7d.")
        return length

    @field_validator("audit_keep")
    @classmethod
    def _some_audit(cls, length: timedelta) -> timedelta:
        if length and not LEAST_AUDIT <= length <= LONGEST_AUDIT:
            raise ValueError("the audit is kept for 30 days at least\nWrite a span such as 90d or 2y, or leave it out.")
        return length

    @model_validator(mode="after")
    def _rules_need_sign_in(self) -> Settings:
        rules = ("sign_in_domains", "sign_in_groups", "sign_in_proxy", "session_length", "roles")
        given = [name for name in rules if name in self.model_fields_set and (name != "roles" or self.roles)]
        if given and not self.sign_in:
            raise ValueError(f"`{given[0]}` keeps nobody out without a sign-in\nAdd `sign_in: true`.")
        return self

    @model_validator(mode="after")
    def _one_word_on_each_role(self) -> Settings:
        names = [role.name for role in self.roles]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are two roles '{twice[0]}'\nGive each a name of its own.")
        if self.roles and self.editors:
            raise ValueError(
                "`editors` and `roles` both say who may edit\n"
                "Name the editors in a role with `base: analyst` (or admin), and take `editors` out."
            )
        for what, given in (("contact point", self.contact_points), ("webhook", self.webhooks)):
            unknown = [one.role for one in given if one.role and one.role not in names]
            if unknown:
                raise ValueError(f"there is no role '{unknown[0]}' for a {what}\nRoles: {', '.join(names) or 'none'}.")
        return self

    @model_validator(mode="after")
    def _one_place_of_each_name(self) -> Settings:
        names, taken = [hook.name for hook in self.webhooks], {point.name for point in self.contact_points}
        twice = sorted({name for name in names if names.count(name) > 1 or name in taken})
        if twice:
            raise ValueError(f"there are two webhooks or contact points '{twice[0]}'\nGive each a name of its own.")
        return self

    def role(self, name: str) -> Role | None:
        """The role of a name; None if there is none."""
        return next((role for role in self.roles if role.name == name), None)

    @field_validator("sync_every")
    @classmethod
    def _span_or_never(cls, text: str) -> str:
        if text != "never" and not span(text):
            raise ValueError("a sync is due after some time\nWrite a span such as 1h or 1d, or never.")
        return text

    @property
    def engine(self) -> str:
        """URL of the engine that has the rows; empty = they are loaded here. It may hold a password."""
        return "" if self.warehouse == "duckdb" else self.warehouse

    @property
    def reads_tables(self) -> bool:
        """Whether the rows are tables that an engine has already, so that nothing is pulled."""
        return bool(self.engine) and not self.lake

    def may_edit(self, who: str) -> bool:
        """Whether somebody may change what the project pulls. who: as they signed in; empty = they did not."""
        return EVERYBODY in self.editors or (bool(who) and who in self.editors)

    def contact(self, name: str) -> ContactPoint | None:
        """The contact point of a name; of an owner, the one whose address has {owner}; else `default`; else None."""
        known = {point.name: point for point in self.contact_points}
        if name in known:
            return known[name]
        if "@" in name:
            for point in self.contact_points:
                if "{owner}" in point.url:
                    return point.model_copy(update={"name": name, "url": point.url.replace("{owner}", name)})
        return known.get("default")

    def webhook(self, name: str) -> Webhook | None:
        """The webhook of a name; None if there is none."""
        return next((hook for hook in self.webhooks if hook.name == name), None)

    def recipient(self, name: str) -> ContactPoint | None:
        """The contact point that reaches exactly this name or e-mail address: `default` does not stand in for it."""
        found = self.contact(name)
        return found if found is not None and found.name == name else None

    @property
    def sync_due(self) -> timedelta | None:
        """Time between syncs; None = they are not expected."""
        return None if self.sync_every == "never" else span(self.sync_every)

    @field_validator("memory_limit", "share_from", "query_bytes")
    @classmethod
    def _memory_words(cls, text: str) -> str:
        if not re.fullmatch(r"\d+(\.\d+)?\s?(KB|MB|GB|KiB|MiB|GiB)", text):
            raise ValueError("write a number and a unit, such as 4GB")
        return text

    @field_validator("query_memory")
    @classmethod
    def _enough_memory(cls, text: str) -> str:
        if size(cls._memory_words(text)) < LEAST_MEMORY:
            raise ValueError("a process that computes needs 1GB at least")
        return text

    @property
    def limits(self) -> Limits:
        """What the computation of a definition may take."""
        return Limits(size(self.query_memory), self.query_timeout.total_seconds(), self.query_processes)

    @property
    def query_most_bytes(self) -> int:
        """Bytes of `query_bytes`."""
        return size(self.query_bytes)

    @property
    def share_from_bytes(self) -> int:
        """Bytes of `share_from`."""
        return size(self.share_from)

    @property
    def week_start_days(self) -> int:
        """Days that the week's first day lies after Monday, 0..6."""
        return WEEKDAYS.index(self.week_start)


def size(text: str) -> int:
    """Bytes of `2GB` or `1.5 GiB`."""
    number, unit = re.fullmatch(r"([\d.]+)\s?([KMG])i?B", text).groups()  # type: ignore[union-attr]  # checked before
    step = 1024 if "i" in text else 1000
    return int(float(number) * step ** (" KMG".index(unit)))


def _nearest_zone(zone: str) -> str:
    near = did_you_mean(zone, sorted(available_timezones()))
    return near.split("Known:")[0].strip() or "Write one such as Europe/Berlin."


def expand_secrets(value: Any, environment: Mapping[str, str], *, where: str) -> Any:
    """`value` with each ${NAME} in its strings replaced from `environment`.

    Each is hidden from logs from then on. Raises SettingsError if a name is not set; the text never holds a value.
    """
    if isinstance(value, str):

        def one(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in environment:
                raise SettingsError(
                    f"environment variable {name} is not set",
                    where=where,
                    hint=f"Set it before starting: export {name}=…",
                )
            if os.environ.get(name) == environment[name]:  # a value of ours, such as KPI_DATA, is no secret
                hide(environment[name])
            return environment[name]

        return NAMED.sub(one, value)
    if isinstance(value, Mapping):
        return {key: expand_secrets(item, environment, where=where) for key, item in value.items()}
    if isinstance(value, list):
        return [expand_secrets(item, environment, where=where) for item in value]
    return value


def environment(**extra: str) -> dict[str, str]:
    """The process's environment, with `extra` on top."""
    return {**os.environ, **extra}
