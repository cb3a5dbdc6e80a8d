"""The outbound client against real servers on the loopback address: bounds, failures, address policy."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from syncline.net.http import KEPT_BODY, MAX_BODY, FailureKind, OutboundClient, OutboundFailure
from syncline.net.policy import AddressPolicy
from tests.support.waiting import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPBACK = ["127.0.0.1"]


@dataclass
class Receiver:
    """A server that records what it got and answers with what it is told."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    most_open: int = 0

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/hook"


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answering(raw: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)


@asynccontextmanager
async def receiver(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Run a server that gives every request the same answer."""
    state = Receiver()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        state.open_connections += 1
        state.most_open = max(state.most_open, state.open_connections)
        try:
            while True:
                state.requests.append(await _read_request(reader))
                await answer(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            state.open_connections -= 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()


class Names(AbstractResolver):
    """A name server whose answers are given; a name with several answers gives the next one each time."""

    def __init__(self, table: dict[str, list[Sequence[str]]]) -> None:
        self.table = table
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answers = self.table.get(host)
        if not answers:
            raise OSError("no such name")
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=ip,
                port=port,
                family=socket.AF_INET6 if ":" in ip else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for ip in found
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
async def client() -> AsyncIterator[OutboundClient]:
    async with OutboundClient(AddressPolicy(LOOPBACK)) as made:
        yield made


async def failure(client: OutboundClient, url: str) -> OutboundFailure:
    with pytest.raises(OutboundFailure) as raised:
        await client.post(url, b"{}", {})
    return raised.value


class TestAnswers:
    async def test_the_bytes_arrive_as_they_are_with_the_given_headers(self, client: OutboundClient) -> None:
        body = b'{"a":"\xc3\xa4"}\n '
        async with receiver(answering(OK)) as server:
            response = await client.post(
                server.url(), body, {"Content-Type": "application/json", "WorkOS-Signature": "t=1, v1=2"}
            )
        head, _, sent = server.requests[0].partition(b"\r\n\r\n")
        assert sent == body
        assert head.startswith(b"POST /hook HTTP/1.1\r\n")
        for line in (
            b"Content-Type: application/json",
            b"WorkOS-Signature: t=1, v1=2",
            b"User-Agent: Syncline/",
        ):
            assert line in head
        assert b"Cookie" not in head
        assert (response.status, response.body_prefix) == (200, "ok")
        assert 0 < response.duration < 15

    @pytest.mark.parametrize("status", [204, 400, 410, 500, 503])
    async def test_every_status_is_an_answer(self, client: OutboundClient, status: int) -> None:
        raw = f"HTTP/1.1 {status} X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n".encode()
        async with receiver(answering(raw)) as server:
            response = await client.post(server.url(), b"{}", {})
        assert response.status == status
        assert response.headers["retry-after"] == "7"

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_redirects_are_not_followed(self, client: OutboundClient, status: int) -> None:
        async with receiver(answering(OK)) as target:
            location = f"HTTP/1.1 {status} X\r\nLocation: {target.url()}\r\nContent-Length: 0\r\n\r\n"
            async with receiver(answering(location.encode())) as server:
                response = await client.post(server.url(), b"{}", {})
        assert response.status == status
        assert target.connections == 0

    async def test_cookies_are_not_kept(self, client: OutboundClient) -> None:
        async with receiver(answering(OK.replace(b"OK\r\n", b"OK\r\nSet-Cookie: a=b\r\n"))) as server:
            for _ in range(2):
                await client.post(server.url(), b"{}", {})
        assert len(server.requests) == 2
        assert not any(b"cookie" in request.lower() for request in server.requests)

    async def test_proxies_of_the_surroundings_are_ignored(
        self, client: OutboundClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with receiver(answering(OK)) as proxy, receiver(answering(OK)) as server:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            await client.post(server.url(), b"{}", {})
        assert proxy.connections == 0

    async def test_a_connection_is_used_again(self, client: OutboundClient) -> None:
        async with receiver(answering(OK)) as server:
            for _ in range(3):
                await client.post(server.url(), b"{}", {})
        assert server.connections == 1


class TestBodies:
    async def test_the_kept_text_is_bounded_lossy_and_free_of_nul(self, client: OutboundClient) -> None:
        body = b"a\x00b\xff" * 2000
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        async with receiver(answering(raw)) as server:
            response = await client.post(server.url(), b"{}", {})
        assert response.body_prefix == "ab\ufffd" * (KEPT_BODY // 4)

    async def test_of_an_endless_body_only_a_little_is_read(self, client: OutboundClient) -> None:
        sent = 0

        async def endless(writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
                sent += 0x2000
                await writer.drain()

        async with receiver(endless) as server:
            response = await client.post(server.url(), b"{}", {})
            assert response.status == 200
            assert response.body_prefix == "x" * KEPT_BODY
            await wait_until(lambda: server.open_connections == 0, reason="the connection is closed")
        # Far more than the limit may sit in buffers of the two sockets, but no stream of it.
        assert sent < 16_000_000

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    async def test_a_compressed_bomb_stays_compressed(self, client: OutboundClient, encoding: str) -> None:
        zeros = bytes(50_000_000)
        bomb = gzip.compress(zeros, 9) if encoding == "gzip" else zlib.compress(zeros, 9)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(bomb)}\r\n\r\n"
        async with receiver(answering(head.encode() + bomb)) as server:
            response = await client.post(server.url(), b"{}", {})
        assert response.status == 200
        assert response.body_prefix == f"[{MAX_BODY} bytes encoded as {encoding}]"

    async def test_a_body_of_exactly_the_limit_is_read_and_the_connection_kept(
        self, client: OutboundClient
    ) -> None:
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (MAX_BODY, b"y" * MAX_BODY)
        async with receiver(answering(raw)) as server:
            for _ in range(2):
                assert (await client.post(server.url(), b"{}", {})).body_prefix == "y" * KEPT_BODY


class TestFailures:
    async def test_nobody_listening_is_refused(self, client: OutboundClient, unused_port: int) -> None:
        assert (await failure(client, f"http://127.0.0.1:{unused_port}/")).kind is FailureKind.REFUSED

    async def test_silence_ends_with_the_total_timeout(self) -> None:
        async def silent(writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        async with (
            receiver(silent) as server,
            OutboundClient(AddressPolicy(LOOPBACK), total_timeout=0.3) as client,
        ):
            error = await failure(client, server.url())
        assert error.kind is FailureKind.TIMEOUT
        assert 0.25 < error.duration < 5

    async def test_a_body_of_a_byte_now_and_then_ends_with_the_total_timeout(self) -> None:
        async def dripping(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

        async with (
            receiver(dripping) as server,
            OutboundClient(AddressPolicy(LOOPBACK), total_timeout=0.3) as client,
        ):
            assert (await failure(client, server.url())).kind is FailureKind.TIMEOUT

    async def test_an_address_that_never_answers_ends_with_the_connect_timeout(self) -> None:
        # A listening socket whose queue is full takes no further connection and refuses none.
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = [socket.socket() for _ in range(3)]
            try:
                for one in waiting:
                    one.setblocking(False)
                    one.connect_ex(full.getsockname())
                async with OutboundClient(AddressPolicy(LOOPBACK), connect_timeout=0.3) as client:
                    error = await failure(client, f"http://127.0.0.1:{full.getsockname()[1]}/")
            finally:
                for one in waiting:
                    one.close()
        assert error.kind is FailureKind.TIMEOUT
        assert error.duration < 5

    @pytest.mark.parametrize(
        ("raw", "kind"),
        [
            (b"", FailureKind.CONNECTION),
            (b"SSH-2.0-OpenSSH_9.2\r\n", FailureKind.BAD_RESPONSE),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", FailureKind.BAD_RESPONSE),
            (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", FailureKind.BAD_RESPONSE),
        ],
        ids=["closed", "not-http", "cut", "huge-header"],
    )
    async def test_answers_that_are_none(self, client: OutboundClient, raw: bytes, kind: FailureKind) -> None:
        async def broken(writer: asyncio.StreamWriter) -> None:
            writer.write(raw)
            await writer.drain()
            raise ConnectionAbortedError

        async with receiver(broken) as server:
            assert (await failure(client, server.url())).kind is kind

    async def test_a_name_that_does_not_resolve(self) -> None:
        async with OutboundClient(AddressPolicy(LOOPBACK), resolver=Names({})) as client:
            assert (await failure(client, "https://nowhere.example/")).kind is FailureKind.DNS

    @pytest.mark.parametrize("header", ["a\r\nInjected: b", "a\nb"])
    async def test_a_header_with_a_line_break_is_not_sent(self, client: OutboundClient, header: str) -> None:
        async with receiver(answering(OK)) as server:
            with pytest.raises(OutboundFailure):
                await client.post(server.url(), b"{}", {"X-Custom": header})
        assert server.requests == []

    async def test_after_a_failure_the_client_works_on(
        self, client: OutboundClient, unused_port: int
    ) -> None:
        await failure(client, f"http://127.0.0.1:{unused_port}/")
        async with receiver(answering(OK)) as server:
            assert (await client.post(server.url(), b"{}", {})).status == 200


class TestAddressPolicy:
    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "localhost", "127.1", "2130706433"],
    )
    @pytest.mark.parametrize("scheme", ["http", "https"])
    async def test_without_an_allow_list_nothing_inside_is_reached(self, scheme: str, host: str) -> None:
        async with receiver(answering(OK)) as server, OutboundClient(AddressPolicy()) as client:
            error = await failure(client, server.url(host, scheme))
        assert error.kind is FailureKind.ADDRESS_REFUSED
        assert server.connections == 0

    async def test_a_name_that_turns_to_an_inner_address_is_refused(self) -> None:
        names = Names({"rebind.example": [["93.184.215.14"], ["127.0.0.1"]]})
        async with (
            receiver(answering(OK)) as server,
            OutboundClient(AddressPolicy(), resolver=names) as client,
        ):
            url = server.url("rebind.example", "https")
            await AddressPolicy().check_url(url, resolve=client.resolve)
            error = await failure(client, url)
        assert error.kind is FailureKind.ADDRESS_REFUSED
        assert server.connections == 0
        assert names.asked == ["rebind.example", "rebind.example"]

    async def test_plain_http_does_not_follow_an_allowed_name_to_a_public_address(self) -> None:
        names = Names({"rebind.example": [["127.0.0.1"], ["93.184.215.14"]]})
        policy = AddressPolicy(LOOPBACK)
        async with OutboundClient(policy, resolver=names) as client:
            await policy.check_url("http://rebind.example/", resolve=client.resolve)
            error = await failure(client, "http://rebind.example/")
        assert error.kind is FailureKind.ADDRESS_REFUSED

    async def test_of_several_addresses_only_the_permitted_one_is_used(self) -> None:
        async with receiver(answering(OK)) as server:
            policy = AddressPolicy([f"127.0.0.1:{server.port}"])
            names = Names({"mixed.example": [["10.0.0.1", "fd00::1", "169.254.169.254", "127.0.0.1"]]})
            async with OutboundClient(policy, resolver=names) as client:
                assert (await client.post(server.url("mixed.example"), b"{}", {})).status == 200

    async def test_another_port_of_an_allowed_address_is_refused(self) -> None:
        async with receiver(answering(OK)) as server, receiver(answering(OK)) as other:
            client = OutboundClient(AddressPolicy([f"127.0.0.1:{server.port}"]))
            assert (await client.post(server.url(), b"{}", {})).status == 200
            assert (await failure(client, other.url())).kind is FailureKind.ADDRESS_REFUSED
            await client.close()
        assert other.connections == 0

    @pytest.mark.parametrize(
        "url", ["ftp://127.0.0.1/", "https://u:p@127.0.0.1/", "/relative", "https://a b/", ""]
    )
    async def test_urls_that_are_not_plain_are_refused_before_anything_is_asked(self, url: str) -> None:
        names = Names({})
        async with OutboundClient(AddressPolicy(["0.0.0.0/0"]), resolver=names) as client:
            assert (await failure(client, url)).kind is FailureKind.ADDRESS_REFUSED
        assert names.asked == []

    async def test_the_machines_own_names_are_resolved(self, client: OutboundClient) -> None:
        assert "127.0.0.1" in await client.resolve("localhost", 80)
        assert await client.resolve("nowhere.invalid", 80) == []
        async with receiver(answering(OK)) as server:
            assert (await client.post(server.url("localhost"), b"{}", {})).status == 200


class TestLimits:
    async def test_a_host_gets_at_most_ten_connections_and_others_are_not_delayed(self) -> None:
        release = asyncio.Event()

        async def held(writer: asyncio.StreamWriter) -> None:
            await release.wait()
            await answering(OK)(writer)

        async with (
            receiver(held) as slow,
            receiver(answering(OK)) as quick,
            OutboundClient(AddressPolicy(LOOPBACK)) as client,
        ):
            waiting = [asyncio.create_task(client.post(slow.url(), b"{}", {})) for _ in range(25)]
            await wait_until(lambda: len(slow.requests) == 10, reason="ten requests are held")
            assert (await client.post(quick.url(), b"{}", {})).duration < 5
            assert len(slow.requests) == 10
            release.set()
            answers = await asyncio.gather(*waiting)
        assert [answer.status for answer in answers] == [200] * 25
        assert slow.most_open == 10

    async def test_closing_ends_what_is_under_way(self) -> None:
        async def silent(writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        async with receiver(silent) as server:
            client = OutboundClient(AddressPolicy(LOOPBACK))
            task = asyncio.create_task(client.post(server.url(), b"{}", {}))
            await wait_until(lambda: server.requests, reason="the request has arrived")
            await client.close()
            with pytest.raises(OutboundFailure):
                await task


class TestTls:
    async def test_a_certificate_of_the_trusted_authority_is_accepted(self, authority: Authority) -> None:
        async with (
            receiver(answering(OK), authority.server("localhost")) as server,
            OutboundClient(AddressPolicy(LOOPBACK), ssl_context=authority.client()) as client,
        ):
            assert (await client.post(server.url("localhost", "https"), b"{}", {})).status == 200

    async def test_an_unknown_authority_is_a_tls_failure(
        self, authority: Authority, client: OutboundClient
    ) -> None:
        async with receiver(answering(OK), authority.server("localhost")) as server:
            error = await failure(client, server.url("localhost", "https"))
        assert error.kind is FailureKind.TLS
        assert "certificate" in error.detail
        assert server.requests == []

    async def test_a_certificate_of_another_name_is_a_tls_failure(self, authority: Authority) -> None:
        async with (
            receiver(answering(OK), authority.server("other.example")) as server,
            OutboundClient(AddressPolicy(LOOPBACK), ssl_context=authority.client()) as client,
        ):
            assert (await failure(client, server.url("localhost", "https"))).kind is FailureKind.TLS
        assert server.requests == []

    async def test_https_to_a_plain_server_is_a_tls_failure(self, client: OutboundClient) -> None:
        async def answer_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(OK)
            await writer.drain()

        server = await asyncio.start_server(answer_at_once, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            assert (await failure(client, f"https://127.0.0.1:{port}/")).kind is FailureKind.TLS


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self._certificate = self._sign(
            self._name, self._key.public_key(), x509.BasicConstraints(True, None), "ca.example"
        )

    def client(self) -> ssl.SSLContext:
        pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def server(self, name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key.public_key(), x509.BasicConstraints(False, None), name)
        file = self._folder / f"{name}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        constraints: x509.BasicConstraints,
        name: str,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = [x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.2"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(constraints, critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_the_addresses_used_here_are_what_they_seem() -> None:
    assert ip_address("127.0.0.1").is_loopback
    assert ip_address("93.184.215.14").is_global
