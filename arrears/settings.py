"""Settings from the environment, read once at the edge. Names and defaults are those of the README."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable."""


class Settings(BaseSettings):
    """Every `ARREARS_*` and `TWILIO_*` variable there is."""

    model_config = SettingsConfigDict(env_prefix="ARREARS_", extra="ignore", populate_by_name=True)

    database_url: str = "sqlite:///arrears.db"
    outbox: Path = Path("outbox")
    clock: str = "system"
    policies: Path = ROOT / "policies"
    templates: Path = ROOT / "templates"
    ladder: str = "card-standard"

    twilio_account_sid: str = Field(default="", validation_alias="TWILIO_ACCOUNT_SID")
    twilio_auth_token: str = Field(default="", validation_alias="TWILIO_AUTH_TOKEN")
    twilio_from: str = Field(default="", validation_alias="TWILIO_FROM")
    twilio_base_url: str = ""

    creditor: str = "Example Bank"
    creditor_phone: str = "+1 800 555 0100"
    creditor_address: str = "1 Harbor Plaza, Springfield, NY 10001"
    payment_url: str = "https://pay.example.com"

    lease_seconds: float = Field(default=60.0, gt=0)
    """How long an intent belongs to the process that made it; longer than any effect can take."""
    doubt_seconds: float = Field(default=15.0, ge=0)
    """How long to let a provider settle before a message in doubt is looked up."""
    nap_seconds: float = Field(default=20.0, ge=0)
    """A timeline's wait up to this long keeps its process. A run that is due again before its worker has let
    go of it ends the worker (prefect 3.8.8 with --limit), so this covers a worker's prefetch of 10 s and its
    process's end; the worker type `arrears` needs none of it."""
    sweep_grace_seconds: float = Field(default=120.0, ge=0)
    """How late a timeline may be before the sweep does its work."""
    most_effects_per_run: int | None = Field(default=None, ge=0)
    most_effects_per_day: int | None = Field(default=None, ge=0)

    @property
    def twilio_configured(self) -> bool:
        """All three variables are set: texts are sent for real."""
        return bool(self.twilio_account_sid and self.twilio_auth_token and self.twilio_from)


def read_settings() -> Settings:
    """The settings of this process; SettingsError names each variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"ARREARS_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        raise SettingsError(problems) from None
