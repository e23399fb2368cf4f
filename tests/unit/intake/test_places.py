"""Whose law may bind: the places of the address and of the number."""

from __future__ import annotations

import pytest

from arrears.intake.places import plausible_jurisdictions


def places(phone: str = "", **address: str) -> tuple[str, ...]:
    given = {"country": "US", "region": "TX", "city": "Austin", "postal_code": "78701"} | address
    return plausible_jurisdictions(**given, phone_e164=phone)


def test_an_address_is_in_its_country_and_state():
    assert places() == ("US", "US-TX")
    assert places(region="US-TX") == ("US", "US-TX")
    assert places(region="") == ("US",)


@pytest.mark.parametrize(
    ("phone", "added"),
    [
        ("+16175550101", ("US-MA",)),
        ("+12025550101", ("US-DC",)),
        ("+12065550100", ("US-WA",)),
        ("+12125550101", ("US-NY", "US-NY-NYC")),
        ("+17187001234", ("US-NY", "US-NY-NYC")),
        ("+15185550101", ("US-NY",)),  # Albany
        ("+15125550100", ()),  # Austin
        ("+442079460018", ("GB",)),
        ("+8613912345678", ("CN",)),
        ("+18005551212", ()),  # toll-free: nobody's place
    ],
)
def test_who_moved_keeps_the_number_and_the_law_of_both_places_may_apply(phone: str, added: tuple[str, ...]):
    assert places(phone) == ("US", "US-TX", *added)


@pytest.mark.parametrize(
    ("city", "postal_code", "in_the_city"),
    [
        ("Brooklyn", "11201", True),
        ("Flushing", "11354", True),
        ("Glen Oaks", "11004", True),
        ("new york", "", True),
        ("Mineola", "11501", False),
        ("Albany", "12207", False),
    ],
)
def test_new_york_city_is_known_by_postal_code_or_name(city: str, postal_code: str, in_the_city: bool):
    found = places(region="NY", city=city, postal_code=postal_code)
    assert found == (("US", "US-NY", "US-NY-NYC") if in_the_city else ("US", "US-NY"))


def test_a_city_elsewhere_of_the_same_name_is_not_new_york():
    assert places(region="MO", city="New York", postal_code="10001") == ("US", "US-MO")
