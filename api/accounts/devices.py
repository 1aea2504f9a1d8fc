"""What a browser calls itself, in a name that people know: to tell one's own devices apart, and for nothing else.

The words of ``User-Agent`` are a history of browsers that passed for each other: nearly every one says Mozilla, and
those made of Chromium say Chrome and Safari besides their own name. So the order counts, the most particular first.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BROWSERS", "SYSTEMS", "describe_browser"]

#: A word of the header → the name's key in the catalogues, ``account.browser.…``.
BROWSERS: Final = {
    "wxwork/": "wecom",
    "MicroMessenger/": "wechat",
    "DingTalk": "dingtalk",
    "QQBrowser/": "qq",
    "360SE": "qihoo",
    "360EE": "qihoo",
    "QIHU": "qihoo",
    "UCBrowser/": "uc",
    "HuaweiBrowser/": "huawei",
    "Edg/": "edge",
    "EdgA/": "edge",
    "EdgiOS/": "edge",
    "OPR/": "opera",
    "Firefox/": "firefox",
    "FxiOS/": "firefox",
    "CriOS/": "chrome",
    "Chrome/": "chrome",
    "Safari/": "safari",
}
#: The same for ``account.system.…``. Telephones name the system they descend from as well.
SYSTEMS: Final = {
    "HarmonyOS": "harmony",
    "Android": "android",
    "iPhone": "iphone",
    "iPad": "ipad",
    "Windows": "windows",
    "Macintosh": "mac",
    "Linux": "linux",
}


def describe_browser(agent: str) -> tuple[str | None, str | None]:
    """Keys of the browser's and the system's name; None where the header names none that we know.

    Examples
    --------
    >>> describe_browser("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0 Safari/537.36 Edg/142.0")
    ('edge', 'windows')
    >>> describe_browser("curl/8.5.0")
    (None, None)
    """
    browser = next((key for word, key in BROWSERS.items() if word in agent), None)
    system = next((key for word, key in SYSTEMS.items() if word in agent), None)
    return browser, system
