"""The zones a holder may be in."""

from __future__ import annotations

from zoneinfo import available_timezones

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from arrears.intake.zones import plausible_zones
from arrears.settings import ROOT


@pytest.mark.parametrize(
    ("country", "region", "phone", "time_zone", "zones"),
    [
        ("US", "CA", "+12125550101", "", ["America/Los_Angeles", "America/New_York"]),
        ("US", "HI", "+18085550108", "", ["Pacific/Honolulu"]),
        ("US", "HI", "+18005550199", "", ["Pacific/Honolulu"]),
        ("US", "AZ", "+16025550109", "", ["America/Phoenix", "America/Denver"]),
        ("US", "TX", "+15125550115", "", ["America/Chicago", "America/Denver"]),
        ("US", "US-FL", "+13055550104", "", ["America/New_York", "America/Chicago"]),
        ("US", "TX", "+18005550199", "", ["America/Chicago", "America/Denver"]),
        ("US", "NY", "+448081570000", "", ["America/New_York"]),
        ("US", "TX", "+19155550103", "America/Denver", ["America/Denver"]),
        ("US", "NY", "+12125550101", "US/Eastern", ["US/Eastern"]),
        ("US", "NY", "+919876543210", "", ["America/New_York", "Asia/Calcutta"]),
        ("PR", "", "+17875550101", "", ["America/Puerto_Rico"]),
        ("GB", "", "+442079460107", "", ["Europe/London"]),
        ("GB", "", "+447700900113", "", ["Europe/London"]),
        ("IN", "MH", "+919876543210", "", ["Asia/Kolkata"]),
        ("CN", "XJ", "+8610001000120", "", ["Asia/Shanghai"]),
        ("CA", "SK", "", "", ["America/Regina", "America/Edmonton"]),
        ("AU", "QLD", "+61491570006", "", ["Australia/Brisbane"]),
        ("BR", "AM", "", "", ["America/Manaus", "America/Eirunepe"]),
        ("PT", "", "", "", ["Europe/Lisbon", "Atlantic/Madeira", "Atlantic/Azores"]),
        ("XX", "", "", "", []),
    ],
)
def test_zones_by_address_number_and_word_of_the_lender(
    country: str, region: str, phone: str, time_zone: str, zones: list[str]
) -> None:
    assert list(plausible_zones(country=country, region=region, phone_e164=phone, time_zone=time_zone)) == zones


def test_an_unknown_region_takes_every_zone_of_its_country() -> None:
    zones = plausible_zones(country="US", region="AE", phone_e164="", time_zone="")
    assert {"America/New_York", "America/Los_Angeles", "Pacific/Honolulu", "Pacific/Guam"} <= set(zones)


@given(
    country=st.sampled_from(["US", "CA", "AU", "BR", "MX", "GB", "DE", "IN", "CN", "RU", "FR", "NZ", "AQ"]),
    region=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", max_size=3),
    area=st.integers(200, 999),
)
def test_every_zone_exists_and_stands_once(country: str, region: str, area: int) -> None:
    zones = plausible_zones(country=country, region=region, phone_e164=f"+1{area}5550101", time_zone="")
    assert zones
    assert len(zones) == len(set(zones))
    assert set(zones) <= available_timezones()


def test_the_data_names_every_state_and_only_zones_that_exist() -> None:
    data = yaml.safe_load((ROOT / "policies" / "zones" / "subdivisions.yaml").read_text())
    assert {country: len(data[country]) for country in ("US", "CA", "AU", "BR", "MX")} == {
        "US": 56,  # 50 states, DC and five territories
        "CA": 13,
        "AU": 8,
        "BR": 27,
        "MX": 32,
    }
    assert {zone for rows in data.values() for zones in rows.values() for zone in zones} <= available_timezones()
