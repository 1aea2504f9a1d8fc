"""Whose areas are all of the form "this department inside this cell" is told why no key can be made."""

from __future__ import annotations

import pytest

from api.accounts.office_area import check_key_area
from api.accounts.roles import Scope
from api.accounts.sight import Area, Sight
from geo.errors import BadInputError, ForbiddenError

PAIR = Area(cell="410102001", department="greening")


def test_a_department_inside_a_cell_makes_no_keys_and_is_told_why() -> None:
    for is_limited in (True, False):
        with pytest.raises(ForbiddenError) as refused:
            check_key_area(Sight(areas=(PAIR,)), (Scope.CASES_READ,), is_limited=is_limited)
        assert refused.value.code == "access.area_of_both"
    # Whoever also has a whole cell, or everything, can limit a key to that.
    check_key_area(Sight(areas=(PAIR, Area(cell="410102002"))), (Scope.CASES_READ,), is_limited=True)
    check_key_area(Sight(areas=(PAIR, Area())), (Scope.CASES_READ,), is_limited=False)
    with pytest.raises(BadInputError, match="key_without_area"):
        check_key_area(Sight(areas=(Area(cell="410102002"),)), (Scope.CASES_READ,), is_limited=False)
