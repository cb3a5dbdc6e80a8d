"""Outbound connections reach public addresses only, however an inner one is spelled."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncline.net.policy import AddressPolicy, AddressRefused, Allowed, Resolve, parse_url

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "192.31.196.1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]

INNER = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
]

METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
]

INNER_V6 = [
    "::",
    "::1",
    "::1%lo",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "2001:db8::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "4000::1",
    "::7f00:1",
    "::8.8.8.8",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:808:8:800::",
    "64:ff9b:1:a9fe:a9:fe00::",
    "64:ff9b:2::1",
    "2002:7f00:1::",
    "2002:0a00:0001::1",
    "2002:808:808::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "2001:0:808:808::f7f7:f7f7",
]


def forms(v4: str) -> list[str]:
    """Return the IPv6 addresses through which a connection to an IPv4 address can be asked for."""
    a, b, c, d = (int(part) for part in v4.split("."))
    high, low = f"{a:02x}{b:02x}", f"{c:02x}{d:02x}"
    return [
        f"::ffff:{v4}",
        f"::ffff:{high}:{low}",
        f"::{v4}",
        f"64:ff9b::{v4}",
        f"64:ff9b::{high}:{low}",
        f"64:ff9b:1::{v4}",
        f"2002:{high}:{low}::",
        f"0:0:0:0:0:FFFF:{v4}",
    ]


def resolving(table: dict[str, Sequence[str]]) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return table.get(host, [])

    return resolve


NOTHING_RESOLVES = resolving({})


class TestAddresses:
    @pytest.mark.parametrize("ip", PUBLIC)
    def test_public_addresses_pass(self, ip: str) -> None:
        AddressPolicy().check(ip, 443)

    @pytest.mark.parametrize("ip", [*INNER, *INNER_V6, *METADATA])
    def test_addresses_that_are_not_public_are_refused(self, ip: str) -> None:
        with pytest.raises(AddressRefused):
            AddressPolicy().check(ip, 443)

    @pytest.mark.parametrize("v4", [*INNER, *(ip for ip in METADATA if "." in ip)])
    def test_every_ipv6_form_of_an_inner_address_is_refused(self, v4: str) -> None:
        for form in forms(v4):
            with pytest.raises(AddressRefused):
                AddressPolicy().check(form, 443)

    @pytest.mark.parametrize(
        "text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "1.2.3.4.5"]
    )
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        with pytest.raises(AddressRefused):
            AddressPolicy(["0.0.0.0/0"]).check(text, 443)

    @given(st.ip_addresses(v=4))
    def test_the_forms_of_an_address_are_never_more_welcome_than_itself(self, address: object) -> None:
        def passes(ip: str) -> bool:
            try:
                AddressPolicy().check(ip, 443)
            except AddressRefused:
                return False
            return True

        assert passes(str(address)) or not any(passes(form) for form in forms(str(address)))


class TestAllowList:
    def test_a_network_opens_its_addresses_and_their_ipv6_forms(self) -> None:
        policy = AddressPolicy(["10.0.0.0/8"])
        for ip in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"):
            policy.check(ip, 443)
            policy.check_plain(ip, 80)

    @pytest.mark.parametrize("ip", ["2002:a01:203::", "64:ff9b:1::10.1.2.3", "::10.1.2.3"])
    def test_forms_that_may_end_elsewhere_are_not_opened(self, ip: str) -> None:
        with pytest.raises(AddressRefused):
            AddressPolicy(["10.0.0.0/8"]).check(ip, 443)

    def test_other_addresses_stay_closed(self) -> None:
        policy = AddressPolicy(["10.0.0.0/8", "127.0.0.1"])
        for ip in ("192.168.0.1", "127.0.0.2", "::1"):
            with pytest.raises(AddressRefused):
                policy.check(ip, 443)

    def test_an_entry_with_a_port_opens_this_port_only(self) -> None:
        policy = AddressPolicy(["127.0.0.1:8080", "[::1]:9090"])
        policy.check("127.0.0.1", 8080)
        policy.check("::ffff:127.0.0.1", 8080)
        policy.check("::1", 9090)
        for ip, port in (("127.0.0.1", 8081), ("::1", 8080)):
            with pytest.raises(AddressRefused):
                policy.check(ip, port)

    @pytest.mark.parametrize("ip", ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"])
    def test_a_network_never_opens_a_metadata_address(self, ip: str) -> None:
        with pytest.raises(AddressRefused, match="metadata"):
            AddressPolicy(["0.0.0.0/0", "::/0", "169.254.0.0/16"]).check(ip, 80)
        AddressPolicy(["169.254.169.254"]).check(ip, 80)

    def test_plain_http_needs_the_list_even_to_public_addresses(self) -> None:
        with pytest.raises(AddressRefused):
            AddressPolicy().check_plain("8.8.8.8", 80)
        AddressPolicy(["8.8.8.8"]).check_plain("8.8.8.8", 80)

    @pytest.mark.parametrize(
        ("text", "network", "port"),
        [
            ("10.0.0.0/8", "10.0.0.0/8", None),
            ("10.0.0.0/8:443", "10.0.0.0/8", 443),
            ("127.0.0.1:80", "127.0.0.1/32", 80),
            (" ::1 ", "::1/128", None),
            ("fd00::/8", "fd00::/8", None),
            ("[fd00::/8]:443", "fd00::/8", 443),
            ("[fd00::]/8:443", "fd00::/8", 443),
            ("[::1]", "::1/128", None),
        ],
    )
    def test_entries_are_read_in_these_spellings(self, text: str, network: str, port: int | None) -> None:
        entry = Allowed.parse(text)
        assert (str(entry.network), entry.port) == (network, port)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "localhost",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "127.0.0.1:0",
            "127.0.0.1:70000",
            "127.1",
            "[::1",
            "::1]:80",
            "10.0.0.0/8:443:1",
            "https://10.0.0.1",
        ],
    )
    def test_an_entry_that_cannot_be_read_is_an_error(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"'|host bits"):
            AddressPolicy([text])


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "https://app.example.com/hook",
            "https://app.example.com:8443/a?b=c#d",
            "HTTPS://APP.EXAMPLE.COM",
            "https://8.8.8.8/",
            "https://[2001:4860:4860::8888]/",
            "https://exam_ple.example/",
            "https://münchen.example/",
            "https://app.example.com./",
        ],
    )
    async def test_https_to_the_public_internet_is_accepted(self, url: str) -> None:
        await AddressPolicy().check_url(url, resolve=resolving({"app.example.com": ["8.8.8.8"]}))

    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "0X7F000001",
            "2130706433",
            "017700000001",
            "0",
            "0x0",
            "0.0.0.0",
            "127.0.0.1.",
            "127.000.000.001",
            "127.0.0.1%00",
            "4294967297",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fe80::1%25eth0]",
            "[fd00:ec2::254]",
            "[v1.fe]",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "169.254.43518",
            "[::ffff:a9fe:a9fe]",
            "10.0.0.1",
            "192.168.0.1",
            "172.16.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "\uff11\uff12\uff17.0.0.1",
            "①②⑦.0.0.1",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "8.8.8.8.8",
            "999.1.1.1",
            "1.0x",
        ],
    )
    async def test_no_spelling_of_an_inner_address_is_accepted(self, host: str) -> None:
        for scheme in ("https", "http"):
            with pytest.raises(AddressRefused):
                await AddressPolicy().check_url(f"{scheme}://{host}/hook", resolve=NOTHING_RESOLVES)

    @pytest.mark.parametrize(
        "host", ["localhost", "localhost.", "LOCALHOST", "a.localhost", "inner.example", "both.example"]
    )
    async def test_a_name_that_resolves_to_inner_addresses_only_is_refused(self, host: str) -> None:
        table: dict[str, Sequence[str]] = {
            "localhost": ["::1", "127.0.0.1"],
            "localhost.": ["127.0.0.1"],
            "a.localhost": ["::1"],
            "inner.example": ["10.0.0.1"],
            "both.example": ["fd00::1", "192.168.0.1"],
        }
        resolve = resolving(table)
        with pytest.raises(AddressRefused, match="not a public"):
            await AddressPolicy().check_url(f"https://{host}/", resolve=resolve)

    async def test_a_name_that_does_not_resolve_yet_is_accepted_for_https_only(self) -> None:
        await AddressPolicy().check_url("https://soon.example/", resolve=NOTHING_RESOLVES)
        with pytest.raises(AddressRefused, match="Plain http"):
            await AddressPolicy(["127.0.0.0/8"]).check_url("http://soon.example/", resolve=NOTHING_RESOLVES)

    async def test_plain_http_is_accepted_where_the_operator_allows_the_address(self) -> None:
        policy = AddressPolicy(["127.0.0.0/8:8080"])
        resolve = resolving({"localhost": ["::1", "127.0.0.1"], "public.example": ["8.8.8.8"]})
        await policy.check_url("http://localhost:8080/hook", resolve=resolve)
        await policy.check_url("http://127.0.0.1:8080/hook", resolve=resolve)
        await policy.check_url("http://[::ffff:127.0.0.1]:8080/hook", resolve=resolve)
        for url in (
            "http://127.0.0.1/",
            "http://localhost:8081/",
            "http://public.example/",
            "http://8.8.8.8:8080/",
        ):
            with pytest.raises(AddressRefused, match="Plain http"):
                await policy.check_url(url, resolve=resolve)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "app.example.com",
            "//app.example.com/",
            "https:",
            "https://",
            "https:///x",
            "https:app.example.com",
            "ftp://app.example.com/",
            "file:///etc/passwd",
            "gopher://app.example.com/",
            "javascript:alert(1)",
            "ws://app.example.com/",
            "unix:///run/x.sock",
            "https://user@app.example.com/",
            "https://u:p@app.example.com/",
            "https://@app.example.com/",
            "https://127.0.0.1:443@app.example.com/",
            "https://app.example.com\\@127.0.0.1/",
            "https://app.example.com:0/",
            "https://app.example.com:65536/",
            "https://app.example.com:x/",
            "https://app .example.com/",
            " https://app.example.com/",
            "https://app.example.com/\n",
            "https://a..b/",
            "https://app.example.com/\x00",
            "https://app.example.com/\tx",
            "https://.example.com/",
            "https://[::1/",
            "https://" + "a" * 64 + ".example/",
            "https://" + "a." * 130 + "example/",
            "https://app.example.com/" + "x" * 2048,
            "https://ex*mple.com/",
            "https://app.example.com%2f@evil/",
            "https://。/",
        ],
    )
    async def test_urls_that_are_not_plain_and_absolute_are_refused(self, url: str) -> None:
        with pytest.raises(AddressRefused):
            await AddressPolicy(["0.0.0.0/0", "::/0"]).check_url(
                url, resolve=resolving({"app.example.com": ["8.8.8.8"]})
            )

    @given(st.text(max_size=40))
    def test_any_text_is_either_read_or_refused(self, text: str) -> None:
        for url in (text, f"https://{text}", f"https://{text}/path", f"https://[{text}]/"):
            with contextlib.suppress(AddressRefused):
                assert parse_url(url).scheme in {"http", "https"}
