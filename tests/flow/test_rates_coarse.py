"""Rates for planners, who see no single case: counts in steps of five, no way to the cases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from api.accounts.roles import Scope
from tests.builders import report
from tests.flow.conftest import Client

PERIOD = "from=2020-01-01&to=2029-01-01"


async def test_planners_get_steps_and_no_cases(client: Client, make_key: Callable[..., Awaitable[str]]) -> None:
    for number in range(13):
        made = await client.post("/v1/reports", json=report(ticket=f"R{number}"))
        assert made.status_code == 201, made.text
    exact = (await client.get(f"/v1/rates?by=level_3&{PERIOD}&rate=solved")).json()
    rate = exact["rates"][0]["code"]
    planner = {"Authorization": f"Bearer {await make_key(scopes=[Scope.MAPS_READ])}"}
    found = (await client.get(f"/v1/rates?by=level_3&{PERIOD}&rate={rate}", headers=planner)).json()
    for row, true in zip([found["total"], *found["rows"]], [exact["total"], *exact["rows"]], strict=True):
        shown, counted = row["rates"][rate], true["rates"][rate]
        assert shown["denominator"] % 5 == shown["numerator"] % 5 == 0
        assert abs(shown["denominator"] - counted["denominator"]) <= 4
        assert shown["numerator_url"] is shown["denominator_url"] is shown["missing_url"] is None
    assert (await client.get(f"/v1/rates/{rate}/cases?{PERIOD}", headers=planner)).status_code == 403
    page = await client.get(f"/maps/rates?{PERIOD}&lang=en", headers=planner)
    assert page.status_code == 200
    assert "rates/cases" not in page.text
    assert "steps of 5" in page.text
    assert (await client.get(f"/v1/rates.csv?{PERIOD}", headers=planner)).status_code == 200
