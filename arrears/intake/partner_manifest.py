"""The manifest that a partner may write last, beside its file: its number and what it adds up to."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from arrears.engine.partner_files import Totals
from arrears.intake.events import problems

ENDING: Final = ".manifest.json"
_Decimal = Annotated[str, Field(pattern=r"^-?[0-9]{1,16}(\.[0-9]{1,4})?$")]


class ManifestUnusable(ValueError):
    """The manifest cannot be read; the message says why."""


class Sum(BaseModel):
    """What a file's payments less its reversals come to in one currency, as decimal strings."""

    model_config = ConfigDict(extra="forbid")

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    collected: _Decimal
    commission: _Decimal | None = None


class PartnerManifest(BaseModel):
    """`sha256` is that of the file as it lies beside the manifest, or of what it holds when decrypted."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["arrears-return/1"]
    count: Annotated[int, Field(ge=0)]
    sums: list[Sum]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    number: Annotated[str, Field(max_length=64)] = ""

    def totals(self) -> Totals:
        """As the engine has them."""
        kept = {each.currency: each.commission for each in self.sums if each.commission is not None}
        collected = {each.currency: each.collected for each in self.sums}
        return Totals(self.count, collected, kept if len(kept) == len(self.sums) else None)


def read_manifest(content: bytes) -> PartnerManifest:
    """Raises ManifestUnusable, which names the field and never its value."""
    try:
        return PartnerManifest.model_validate_json(content)
    except ValidationError as error:
        raise ManifestUnusable(f"the manifest cannot be used: {problems(error.errors())}") from None
