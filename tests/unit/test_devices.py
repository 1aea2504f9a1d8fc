"""Browsers are named by what they are, not by what they pass for."""

from __future__ import annotations

import pytest

from api.accounts.devices import BROWSERS, SYSTEMS, describe_browser
from maps.i18n import LOCALES, catalogue

_CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"


@pytest.mark.parametrize(
    ("agent", "named"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROMIUM} Safari/537.36", ("chrome", "windows")),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROMIUM} Safari/537.36 Edg/142.0.0.0", ("edge", "windows")),
        (f"Mozilla/5.0 (X11; Linux x86_64) {_CHROMIUM} Safari/537.36", ("chrome", "linux")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", ("firefox", "linux")),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
            ("safari", "mac"),
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
            " MicroMessenger/8.0.54 wxwork/4.1.30",
            ("wecom", "iphone"),
        ),
        (f"Mozilla/5.0 (Linux; Android 14; K) {_CHROMIUM} Mobile MicroMessenger/8.0.54", ("wechat", "android")),
        (f"Mozilla/5.0 (Linux; Android 12; HarmonyOS; K) {_CHROMIUM} HuaweiBrowser/15.0", ("huawei", "harmony")),
        (f"Mozilla/5.0 (Windows NT 10.0; WOW64) {_CHROMIUM} Safari/537.36 QIHU 360SE", ("qihoo", "windows")),
        ("python-httpx/0.28.1", (None, None)),
        ("", (None, None)),
    ],
)
def test_browser_and_system_are_told_apart(agent: str, named: tuple[str | None, str | None]) -> None:
    assert describe_browser(agent) == named


def test_every_name_is_in_the_catalogues() -> None:
    for locale in LOCALES:
        known = catalogue(locale)
        assert all(f"account.browser.{key}" in known for key in BROWSERS.values())
        assert all(f"account.system.{key}" in known for key in SYSTEMS.values())
