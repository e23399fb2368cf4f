"""Settings from the environment, read once at the edge. Names and defaults are those of the README."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_SHORTEST_SECRET: Final = 32
_COUNTRY: Final = re.compile(r"[A-Z]{2}|\*")
_SENDER: Final = re.compile(r"\+[1-9][0-9]{6,14}|MG[0-9a-f]{32}|[0-9]{3,8}|(?=.*[A-Za-z])[0-9A-Za-z]{1,11}")
_BASE_URL: Final = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")
ROOT = Path(__file__).resolve().parent.parent


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable."""


class Settings(BaseSettings):
    """Every `ARREARS_*` and `TWILIO_*` variable there is."""

    model_config = SettingsConfigDict(
        env_prefix="ARREARS_", extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    database_url: str = "sqlite:///arrears.db"
    database_pool_size: int = Field(default=8, gt=0)
    """How many connections to PostgreSQL a process keeps."""
    database_pool_overflow: int = Field(default=8, ge=0)
    """How many more it opens under load."""
    database_connect_seconds: float = Field(default=10.0, gt=0)
    """How long to try for a connection to a server that is full or starting."""
    database_statement_seconds: float = Field(default=120.0, ge=0)
    """How long one statement may run; 0: without limit, here and in the next two."""
    database_lock_seconds: float = Field(default=30.0, ge=0)
    """How long a statement waits for another session's lock."""
    database_idle_seconds: float = Field(default=300.0, ge=0)
    """How long a transaction may stand still before the server ends it."""
    database_silent_seconds: float = Field(default=60.0, ge=0)
    """How long the road to the server may be dead before its connections are given up."""
    database_application_name: str = "arrears"
    """Who we are in pg_stat_activity."""
    sqlite_most_accounts: int = Field(default=1_000_000, gt=0)
    """How many accounts a ledger on SQLite takes before it refuses more."""
    outbox: Path = Path("outbox")
    documents: Path = Path("documents")
    """Where the lender's own documents for court are kept, by their digests."""
    clock: str = "system"
    policies: Path = ROOT / "policies"
    templates: Path = ROOT / "templates"
    ladder: str = "card-standard"

    twilio_account_sid: str = Field(default="", validation_alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: str = Field(default="", validation_alias="TWILIO_AUTH_TOKEN")
    twilio_from: str = Field(default="", validation_alias="TWILIO_FROM")
    twilio_base_url: str = ""
    caller_id: str = ""
    """The number that holders see when a collector calls; default: TWILIO_FROM."""
    record_calls: bool = False
    """Record calls put through, where policies/floor.yaml says that one party's consent is enough."""
    twilio_senders: str = ""
    """Senders by the country of the number texted, such as `US=+15005550006,+15005550007 GB=MG… *=+1…`."""
    partner_passwords: str = ""
    """Passwords for partners' folders where no key is agreed, such as `northside=… southbank=…`."""
    texts_per_second: float | None = Field(default=None, gt=0)
    """How many texts a second each sender may send."""

    public_base_url: str = Field(default="", validation_alias="PUBLIC_BASE_URL")
    """Where `arrears serve` is reached from outside, such as https://pay.example.com; what Twilio signs."""
    secret: str = ""
    """Signs the links in texts and callbacks; at least 32 characters."""
    api_token: str = ""
    """What machines must show to post payments and events."""
    metrics_token: str = ""
    """What Prometheus must show at `/metrics` of `arrears serve`."""
    metrics_port: int | None = Field(default=None, gt=0, le=65535)
    """A port of its own for metrics, without a token, for workers and for an inner network."""
    metrics_host: str = "127.0.0.1"
    """The address that this port listens on."""
    log_format: Literal["text", "json"] = "text"
    """`json`: one JSON object a line."""
    link_days: int = Field(default=30, gt=0)
    """How long a link in a text opens the holder's page."""

    creditor: str = "Example Bank"
    creditor_phone: str = "+1 800 555 0100"
    creditor_address: str = "1 Harbor Plaza, Springfield, NY 10001"
    payment_url: str = "https://pay.example.com"

    alert_failed_share: float = Field(default=0.05, ge=0, le=1)
    """A sweep in which more than this share of its accounts failed is announced to Prefect's automations."""
    alert_late_timelines: int = Field(default=1, gt=0)
    """So are this many timelines that the sweep had to step in for."""
    age_key: str = Field(default="", repr=False)
    """Our identity of age, AGE-SECRET-KEY-1…, to which partners may encrypt their files."""
    openpgp_key: str = Field(default="", repr=False)
    """Our private OpenPGP key, armored and without a passphrase, for the same."""

    lease_seconds: float = Field(default=60.0, gt=0)
    """How long an intent belongs to the process that made it; longer than any effect can take."""
    doubt_seconds: float = Field(default=15.0, ge=0)
    """How long a provider may take until it lists what has reached it; its silence proves nothing sooner."""
    nap_seconds: float = Field(default=20.0, ge=0)
    """A timeline's wait up to this long keeps its process. A run that is due again before its worker has let
    go of it ends the worker (prefect 3.8.8 with --limit), so this covers a worker's prefetch of 10 s and its
    process's end; the worker type `arrears` needs none of it."""
    sweep_grace_seconds: float = Field(default=120.0, ge=0)
    """How late a timeline may be before the sweep does its work."""
    sweep_batch: int = Field(default=400, gt=0)
    """How many accounts a sweep decides and commits together."""
    effects_at_once: int = Field(default=16, gt=0)
    """How many letters and texts over the network a sweep makes at one time."""
    worker_drain_seconds: float = Field(default=25.0, ge=0)
    """How long a worker of type `arrears` that is to stop lets what it has in hand go on; less than what follows
    its SIGTERM (Kubernetes: 30 s)."""
    worker_cancel_seconds: float = Field(default=10.0, ge=0)
    """How long a run that a person cancels may go on, once a worker of type `arrears` has heard of it."""
    worker_most_runs: int | None = Field(default=20_000, gt=0)
    worker_most_mib: float | None = Field(default=None, gt=0)
    worker_most_given_up: int = Field(default=3, gt=0)
    """What a worker's process may have run, take of memory and have given up before it begins anew."""
    most_effects_per_run: int | None = Field(default=None, ge=0)
    most_effects_per_day: int | None = Field(default=None, ge=0)

    @property
    def links_configured(self) -> bool:
        """Texts may bear links to the holder's page, and ask Twilio to call back."""
        return bool(self.public_base_url and self.secret)

    @property
    def senders(self) -> Mapping[str, tuple[str, ...]]:
        """The pools of `twilio_senders`, by country or `*`."""
        return _pools(self.twilio_senders)

    @property
    def passwords(self) -> Mapping[str, str]:
        """The passwords of `partner_passwords`, by partner."""
        return dict(part.split("=", 1) for part in self.partner_passwords.split())

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _ = self.senders
        if any("=" not in part for part in self.partner_passwords.split()):
            raise ValueError("ARREARS_PARTNER_PASSWORDS: expected NAME=PASSWORD, with spaces between")
        if self.secret and len(self.secret) < _SHORTEST_SECRET:
            raise ValueError(f"ARREARS_SECRET is shorter than {_SHORTEST_SECRET} characters")
        if self.public_base_url and not _BASE_URL.fullmatch(self.public_base_url):
            raise ValueError("PUBLIC_BASE_URL is no address; expected one such as https://pay.example.com")
        return self

    @property
    def twilio_configured(self) -> bool:
        """All three variables are set: texts are sent for real."""
        return bool(self.twilio_account_sid and self.twilio_auth_token and self.twilio_from)


@cache
def _pools(text: str) -> Mapping[str, tuple[str, ...]]:
    pools: dict[str, tuple[str, ...]] = {}
    wrong = "ARREARS_TWILIO_SENDERS: {!r} is no {}"
    for part in text.split():
        country, _, pool = part.partition("=")
        if not _COUNTRY.fullmatch(country) or country in pools or not pool:
            what = "pool; expected one for each country, such as US=+15005550006,+15005550007"
            raise ValueError(wrong.format(part, what))
        pools[country] = tuple(pool.split(","))
        for sender in pools[country]:
            if not _SENDER.fullmatch(sender):
                what = "sender; expected a number such as +15005550006, a Messaging Service (MG…) or a sender id"
                raise ValueError(wrong.format(sender, what))
    return pools


def read_settings() -> Settings:
    """The settings of this process; SettingsError names each variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_said(dict(each)) for each in error.errors())) from None


def _said(problem: dict[str, Any]) -> str:
    place = problem["loc"]
    words = str(problem["msg"]).removeprefix("Value error, ")
    return f"ARREARS_{str(place[0]).upper()}: {words}" if place else words
