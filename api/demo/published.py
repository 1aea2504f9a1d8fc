"""Figures as the five subdistricts printed them (DOMAIN §9); the page of rates holds the demo's own beside them."""

from __future__ import annotations

from typing import Final

from api.demo.places import LEDGER_ISSUE, SOCIAL_INFORMATION, THREE_ILLEGALS
from maps.rates.published import Printed

__all__ = ["PRINTED"]

PRINTED: Final = (
    Printed(cell="410102002", year="2013", ledger="", numerator=None, denominator=12_115, percent="99"),
    Printed(cell="410102001", year="2013-04", ledger="", numerator=None, denominator=15_882, percent="99.22"),
    Printed(cell="410102004", year="2014", ledger=LEDGER_ISSUE, numerator=1_592, denominator=1_609, percent="98.98"),
    Printed(
        cell="410102004", year="2014", ledger=SOCIAL_INFORMATION, numerator=4_084, denominator=4_167, percent="98.01"
    ),
    Printed(cell="410105008", year="2014", ledger="", numerator=133_669, denominator=135_298, percent="98.8"),
    Printed(cell="410105008", year="2014", ledger=THREE_ILLEGALS, numerator=943, denominator=1_271, percent="74.1"),
)
