"""Rules of webhooks that need no database: signatures, schedule, addresses, URLs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress

import pytest

from api.webhooks import signing
from api.webhooks.addresses import is_public, may_reach, parse_networks
from api.webhooks.schedule import DELAYS_S, wait_after
from api.webhooks.targets import parse_target
from geo.errors import BadInputError

# Published with the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EXAMPLE = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_is_reproduced() -> None:
    assert signing.sign(SECRET, *EXAMPLE) == SIGNATURE


def test_every_secret_signs_and_the_header_is_space_delimited() -> None:
    other = signing.make_secret()
    made = signing.headers([other, SECRET], *EXAMPLE)
    assert made["webhook-signature"].split(" ") == [signing.sign(other, *EXAMPLE), SIGNATURE]
    assert (made["webhook-id"], made["webhook-timestamp"]) == (EXAMPLE[0], "1614265330")


def test_an_own_secret_is_32_random_bytes() -> None:
    key = signing.key_of(signing.make_secret())
    assert len(key) == 32
    expected = base64.b64encode(hmac.new(key, b"m.1.x", hashlib.sha256).digest()).decode()
    assert signing.sign(signing.PREFIX + base64.b64encode(key).decode(), "m", 1, b"x") == f"v1,{expected}"


@pytest.mark.parametrize("bad", ["", "whsec_", "whsec_AAAA", "whsec_!!", SECRET[6:], "whsk_" + SECRET[6:]])
def test_what_is_no_secret_is_refused_and_not_repeated(bad: str) -> None:
    with pytest.raises(BadInputError) as caught:
        signing.key_of(bad)
    assert caught.value.params == {}


@pytest.mark.parametrize(
    ("failures", "wait_s"),
    [(1, 5), (2, 300), (3, 1800), (4, 7200), (5, 18000), (6, 36000), (7, 50400), (8, 72000), (9, 86400), (10, None)],
)
def test_the_schedule_is_the_specifications(failures: int, wait_s: float | None) -> None:
    assert wait_after(failures, chance=0.0) == wait_s
    late = wait_after(failures, chance=0.999)
    assert (late is None) if wait_s is None else (late is not None and wait_s < late < 1.1 * wait_s)


def test_the_receiver_may_ask_for_more_time_but_not_for_less() -> None:
    assert DELAYS_S[0] == 0
    assert sum(DELAYS_S) == 75 * 3600 + 35 * 60 + 5
    assert wait_after(1, chance=0.0, retry_after_s=120) == 120
    assert wait_after(4, chance=0.0, retry_after_s=1) == 7200
    assert wait_after(1, chance=0.0, retry_after_s=999_999) == 86_400


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "8.8.8.8", "114.114.114.114", "2400:3200::1", "2001:4860:4860::8888", "64:ff9b::8.8.8.8"]
)
def test_public_addresses(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


CLOSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b:1::127.0.0.1",
    "100::1",
    "2001::1",
    "2001:0:53aa:64c:0:0:80ff:fffe",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2400:3200::5efe:7f00:1",
    "2400:3200::200:5efe:a00:1",
]


@pytest.mark.parametrize("text", CLOSED)
def test_closed_addresses(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not is_public(address)
    assert not may_reach(address, parse_networks("10.8.0.0/16, fd12::/64"))


def test_a_setting_opens_a_network_and_nothing_else() -> None:
    networks = parse_networks("10.8.0.0/16, fd12::/64")
    for text in ("10.8.3.4", "::ffff:10.8.3.4", "fd12::9"):
        assert may_reach(ipaddress.ip_address(text), networks)
    for text in ("10.9.0.1", "fd13::1", "64:ff9b::10.8.3.4"):
        assert not may_reach(ipaddress.ip_address(text), networks)


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "header"),
    [
        ("https://example.org", "example.org", 443, "/", "example.org"),
        ("https://Example.ORG:8443/a?b=c", "example.org", 8443, "/a?b=c", "example.org:8443"),
        ("https://example.org.:443/", "example.org", 443, "/", "example.org"),
        ("https://[2400:3200::1]/x", "2400:3200::1", 443, "/x", "[2400:3200::1]"),
        ("https://1.1.1.1/", "1.1.1.1", 443, "/", "1.1.1.1"),
        ("https://xn--fiqs8s.example/", "xn--fiqs8s.example", 443, "/", "xn--fiqs8s.example"),
    ],
)
def test_good_urls(url: str, host: str, port: int, path: str, header: str) -> None:
    target = parse_target(url)
    assert (target.host, target.port, target.path, target.host_header) == (host, port, path, header)


def test_plain_http_goes_to_named_networks_only() -> None:
    networks = parse_networks("10.8.0.0/16")
    assert not parse_target("http://10.8.0.1/x", networks).is_https
    for url in ("http://1.1.1.1/", "http://8.8.8.8:8080/"):
        with pytest.raises(BadInputError, match=r"webhook\.https_needed"):
            parse_target(url, networks)
    with pytest.raises(BadInputError, match=r"webhook\.https_needed"):
        parse_target("http://example.org/")
