"""Somebody with a browser gets a page in words; a program gets the problem document, whatever the door."""

from __future__ import annotations

from tests.flow.conftest import Client

_PAGE = {"Accept": "text/html,application/xhtml+xml", "Accept-Language": "zh-CN"}


async def test_what_is_not_there_is_a_page_for_people_and_a_document_for_programs(client: Client) -> None:
    page = await client.get("/nothing-here?x=%22%3E%3Csvg%20onload=alert(1)%3E", headers=_PAGE)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "没有这一页" in page.text
    assert "<svg onload" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    english = await client.get("/nothing-here", headers=_PAGE | {"Accept-Language": "en"})
    assert "There is no such page" in english.text
    # What is known beyond the status is said.
    brief = await client.get("/cases/20200101-0000001/brief", headers=_PAGE)
    assert brief.status_code == 404
    assert "20200101-0000001" in brief.text
    program = await client.get("/nothing-here")
    assert program.json()["code"] == "http.404"
    for path in ("/v1/cases/20200101-0000001", "/ogc/collections/none", "/open311/v2/requests/none.json"):
        answer = await client.get(path, headers=_PAGE)
        assert answer.status_code in {400, 404}, path
        assert not answer.headers["content-type"].startswith("text/html"), path


async def test_a_bad_address_names_its_faults_on_the_page(client: Client) -> None:
    page = await client.get("/wall?theme=far-too-long-a-theme", headers=_PAGE)
    assert page.status_code == 422
    assert "theme" in page.text
    assert "这一页打不开" in page.text


async def test_a_file_over_the_limit_is_a_page_with_the_way_back(client: Client) -> None:
    large = {"file": ("table.csv", b"x" * 1_100_000)}
    page = await client.post("/admin/calendars", files=large, headers=_PAGE)
    assert (page.status_code, page.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "最多 1 MB" in page.text
    assert 'class="secondary other" href="?"' in page.text
    program = await client.post("/v1/departments", content=b"x" * 1_100_000)
    assert (program.status_code, program.json()["code"]) == (413, "request.too_large")
