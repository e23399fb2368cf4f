"""The policies as shipped, with a ladder of the test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from arrears.settings import ROOT


def policies_with(ladder: Path, folder: Path, *, at_any_hour: bool = False) -> Path:
    """A copy in `folder`, its standard ladder `ladder`; `at_any_hour`: without the lender's own hours of contact."""
    copied = folder / "policies"
    shutil.copytree(ROOT / "policies", copied)
    shutil.copy(ladder, copied / "ladders" / "card-standard.yaml")
    if at_any_hour:
        rules = copied / "contact-rules" / "HOUSE.yaml"
        hours = "switched_off: [HOUSE-QH, US-FP-QH-POLICY]\n\nquiet_hours:"
        rules.write_text(rules.read_text().replace("quiet_hours:", hours, 1))
    return copied
