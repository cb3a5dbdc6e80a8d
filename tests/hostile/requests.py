"""A generator of malformed requests: the same seed and target give the same requests, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any
from urllib.parse import quote, quote_from_bytes

from tests.hostile import values, words

_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_NOBODY = "01KA0YPX7B9D1F3H5K7M9Q1S3T"
_LARGE = 200_000


class Interface(StrEnum):
    """Which part of Syncline a request speaks to, and so which form an error must have."""

    SCIM2 = "scim 2.0"
    SCIM1 = "scim 1.1"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Target:
    """A tenant to attack.

    `prey` are objects that a request may change or remove; the directory and the keys that the attack itself
    needs are not among them.
    """

    scim_key: str
    scim_token: str
    api_key: str
    organization_id: str
    directory_id: str
    users: tuple[str, ...]
    groups: tuple[str, ...]
    prey: dict[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as bytes on the wire.

    `closes` is set where nothing can follow on the same connection.
    """

    interface: Interface
    what: str
    method: str
    path: bytes
    raw: bytes
    closes: bool = False


@dataclass(slots=True)
class _Draft:
    """A request in the making."""

    method: str
    path: str | bytes
    headers: list[tuple[str, str | bytes]] = field(default_factory=list)
    body: bytes | None = None
    version: bytes = b"HTTP/1.1"
    closes: bool = False

    def without(self, name: str) -> None:
        """Drop a header."""
        self.headers = [(key, value) for key, value in self.headers if key.lower() != name]


class Generator:
    """Makes requests for one target; `next` never repeats itself on purpose."""

    def __init__(self, seed: int, target: Target) -> None:
        self._random = Random(seed)
        self._target = target

    def next(self) -> Request:
        """Return the next request."""
        random = self._random
        interface = random.choices(list(Interface), (45, 15, 40))[0]
        makers = _REST if interface is Interface.REST else _SCIM
        what, make = random.choices([entry[:2] for entry in makers], [entry[2] for entry in makers])[0]
        draft = make(self, interface)
        if random.random() < 0.05:
            self._spoil_headers(draft)
            what += ", headers"
        return _finished(interface, what, draft)

    # Shared parts

    def _base(self, interface: Interface) -> str:
        if interface is Interface.REST:
            return ""
        return f"/scim/{'v1' if interface is Interface.SCIM1 else 'v2'}/{self._target.scim_key}"

    def _draft(self, interface: Interface, method: str, path: str, body: bytes | None = None) -> _Draft:
        token = self._target.api_key if interface is Interface.REST else self._target.scim_token
        draft = _Draft(method, self._base(interface) + path, [("Authorization", f"Bearer {token}")], body)
        if body is not None:
            draft.headers.append(("Content-Type", "application/json"))
        return draft

    def _id(self, known: tuple[str, ...]) -> str:
        random = self._random
        if random.random() < 0.7:
            return random.choice(known)
        return random.choice((_NOBODY, random.choice(known).lower(), "x", _encoded(values.text(random))))

    def _spoil_headers(self, draft: _Draft) -> None:
        random = self._random
        text = values.text(random).replace("\r", "").replace("\n", "").replace("\0", "")
        raw = text.encode("utf-8", "surrogatepass")[:8000]
        name = random.choice(words.HEADERS)
        draft.without(name.lower())
        draft.headers.append((name, random.choice((raw, b"\xff\xfe\xfd", b",,,;;;", raw * 3))))

    # Bodies

    def broken_body(self, interface: Interface) -> _Draft:
        """Bytes that are not JSON, where JSON belongs."""
        method, path, document = self._write(interface)
        raw = self._random.choice(values.BROKEN_JSON)
        if self._random.random() < 0.5:
            raw = values.damaged(values.dump(document), self._random)
        return self._draft(interface, method, path, raw)

    def wrong_body(self, interface: Interface) -> _Draft:
        """A document with wrong types, names and values."""
        method, path, document = self._write(interface)
        return self._draft(interface, method, path, values.dump(values.disfigured(document, self._random)))

    def wrong_type(self, interface: Interface) -> _Draft:
        """A good document under another media type, charset or encoding."""
        random = self._random
        method, path, document = self._write(interface)
        raw = values.dump(document)
        if random.random() < 0.4:
            raw = raw.decode().encode(random.choice(("utf-16", "utf-32", "utf-7", "cp037")))
        draft = self._draft(interface, method, path, raw)
        draft.without("content-type")
        draft.headers.append(("Content-Type", random.choice(words.MEDIA_TYPES)))
        if random.random() < 0.4:
            draft.headers.append(("Content-Encoding", random.choice(words.ENCODINGS)))
        return draft

    def large_body(self, interface: Interface) -> _Draft:
        """Far too much of something."""
        random = self._random
        method, path, _ = self._write(interface)
        size = random.choice((70_000, 400_000, 1_100_000, 1_100_000, 11_000_000))
        raw = random.choice(
            (
                b'{"userName":"' + b"x" * size + b'"}',
                b"[" * size,
                b'{"a":[' + b"1," * (size // 2) + b"1]}",
                b'{"Operations":[' + b'{"op":"add"},' * (size // 13) + b"{}]}",
                b" " * size,
                b"\x00" * size,
            )
        )
        return self._draft(interface, method, path, raw)

    def patch(self, interface: Interface) -> _Draft:
        """Operations that name nothing, contradict themselves or never end."""
        random = self._random
        kind, ids = random.choice((("Users", self._target.users), ("Groups", self._target.groups)))
        operations = [self._operation() for _ in range(random.choice((1, 1, 2, 3, 8)))]
        body: Any = {"schemas": [_PATCH], "Operations": operations}
        if random.random() < 0.1:
            body = values.disfigured(body, random)
        return self._draft(interface, "PATCH", f"/{kind}/{self._id(ids)}", values.dump(body))

    def bulk(self, interface: Interface) -> _Draft:
        """Bulk requests of strange steps."""
        random = self._random
        steps = [
            values.disfigured(
                {"method": "POST", "path": "/Users", "bulkId": f"b{n}", "data": self._user()}, random
            )
            for n in range(random.randint(1, 4))
        ]
        body = {"Operations": steps, "failOnErrors": random.choice((1, 0, -1, None, "x", 1.5))}
        return self._draft(interface, "POST", "/Bulk", values.dump(body))

    def _operation(self) -> Any:
        random = self._random
        operation: dict[str, Any] = {
            "op": random.choice(("add", "replace", "remove", "Replace", "delete", "", None, 1)),
            "path": random.choice(
                (words.patch_path(random), words.patch_path(random), None, values.text(random))
            ),
            "value": values.value(random),
        }
        for name in ("op", "path", "value"):
            if random.random() < 0.08:
                del operation[name]
        return operation

    def _write(self, interface: Interface) -> tuple[str, str, Any]:
        """Return a call that would change something, with a good document."""
        random, target = self._random, self._target
        if interface is Interface.REST:
            method, path, document = random.choice(_REST_WRITES)
            return method, path.format(**target.prey, **vars_of(target)), document(self)
        return random.choice(
            (
                ("POST", "/Users", self._user()),
                ("POST", "/Users", self._user()),
                ("PUT", f"/Users/{self._id(target.users)}", self._user()),
                ("PATCH", f"/Users/{self._id(target.users)}", _operations("title", "Planner")),
                ("POST", "/Groups", {"displayName": "Dispatch", "members": [{"value": target.users[0]}]}),
                ("PUT", f"/Groups/{self._id(target.groups)}", {"displayName": "Night", "members": []}),
                ("PATCH", f"/Groups/{self._id(target.groups)}", _operations("displayName", "Day")),
                ("POST", "/Users/.search", {"filter": 'userName eq "mira"', "count": 2}),
                ("POST", "/.search", {"attributes": ["userName"], "startIndex": 1}),
            )
        )

    def _user(self) -> dict[str, Any]:
        return {
            "schemas": [words.USER, words.ENTERPRISE],
            "userName": f"hostile{self._random.randrange(10**9)}@northwind.example",
            "externalId": "x1",
            "active": True,
            "name": {"givenName": "Mira", "familyName": "Voss"},
            "emails": [{"value": "m@northwind.example", "type": "work", "primary": True}],
            "phoneNumbers": [{"value": "+1", "type": "work"}],
            "roles": [{"value": "admin"}],
            words.ENTERPRISE: {"department": "Logistics", "manager": {"value": _NOBODY}},
        }

    # Addresses

    def filter(self, interface: Interface) -> _Draft:
        """Filters from grammar and nonsense."""
        random = self._random
        text = words.filter_text(random)
        kind = random.choice(("Users", "Groups"))
        if random.random() < 0.2:
            raw = values.dump({"filter": text, "count": 1})
            return self._draft(interface, "POST", random.choice((f"/{kind}/.search", "/.search")), raw)
        return self._draft(interface, "GET", f"/{kind}?count=1&filter={_encoded(text)}")

    def query(self, interface: Interface) -> _Draft:
        """Parameters with wrong values, names and bytes."""
        random = self._random
        names = words.REST_PARAMETERS if interface is Interface.REST else words.SCIM_PARAMETERS
        rest = (
            "/organizations",
            "/directories",
            "/directory_users",
            "/directory_groups",
            "/events",
            "/api_keys",
        )
        path = random.choice(
            rest if interface is Interface.REST else ("/Users", "/Groups", "/Users", "/Schemas")
        )
        pairs = []
        for _ in range(random.randint(1, 4)):
            name = random.choice(names) if random.random() < 0.9 else _encoded(values.text(random))
            text = random.choice(
                (values.text(random), str(random.choice(values.NUMBERS)), words.patch_path(random))
            )
            pairs.append(f"{name}={_encoded(text)}" if random.random() < 0.95 else name)
        if interface is not Interface.REST:
            pairs.append("count=1")
        query = random.choice(("&", "&", "&", ";", "&&&")).join(pairs)
        if random.random() < 0.05:
            query += random.choice(("%", "%zz", "%FF%FE", "%C0%80", "=" * 50, "&" * 500, "a" * 40_000, "%00"))
        return self._draft(interface, "GET", f"{path}?{query}")

    def path(self, interface: Interface) -> _Draft:
        """Addresses that lead nowhere: encoded slashes, dots, NULs, bytes that are no UTF-8."""
        random, target = self._random, self._target
        known = [target.users[0], target.groups[0], target.directory_id, _NOBODY]
        names = words.REST_NAMES if interface is Interface.REST else words.SCIM_NAMES
        parts = [
            random.choice(
                (
                    random.choice(names),
                    random.choice(known),
                    random.choice(words.SEGMENTS),
                    _text_part(random),
                )
            )
            for _ in range(random.randint(1, 4))
        ]
        # Only reads: a deletion that hits its mark would be a change like any other.
        draft = self._draft(interface, "GET", "")
        base = self._base(interface) if random.random() < 0.7 else random.choice(words.BASES)
        path = f"{base}/{'/'.join(parts)}" + random.choice(("", "", "/", "//", "?", "#x", ";a=b"))
        strange = bytes(random.randrange(0x80, 0x100) for _ in range(6)) if random.random() < 0.05 else b""
        draft.path = path.encode("utf-8", "surrogatepass") + strange
        return draft

    def method(self, interface: Interface) -> _Draft:
        """Methods that an address does not know, in any spelling, also by override."""
        random = self._random
        names = words.REST_NAMES if interface is Interface.REST else words.SCIM_NAMES
        draft = self._draft(interface, random.choice(words.METHODS), f"/{random.choice(names)}")
        if random.random() < 0.3:
            draft.headers.append(
                (random.choice(words.OVERRIDES), random.choice(("DELETE", "PATCH", "x", "", "\xe9")))
            )
        if random.random() < 0.3:
            draft.body = b"{}"
        return draft

    # Headers and framing

    def credentials(self, interface: Interface) -> _Draft:
        """Credentials that open nothing."""
        random, target = self._random, self._target
        draft = self._draft(interface, random.choice(("GET", "POST", "DELETE")), self._some_path(interface))
        draft.without("authorization")
        token = target.scim_token
        other = target.scim_token if interface is Interface.REST else target.api_key
        tokens: tuple[str | bytes, ...] = (
            f"Bearer {other}", f"Bearer {token[:-1]}", f"Bearer {token}x", "Bearer", "Bearer ", "Basic Og==",
            "Basic " + "A" * 500, "Digest x", "Bearer " + "a" * 5000, b"Bearer \xff\xfe", "Bearer a b c",
            "", "Bearer null", "bearer\tx",
            "Bearer " + values.text(random).encode("ascii", "ignore").decode(),
        )  # fmt: skip
        for _ in range(random.choice((0, 1, 1, 1, 2))):
            given = random.choice(tokens)
            if isinstance(given, str):
                given = "".join(one for one in given if one >= " " and one != "\x7f")
            draft.headers.append(("Authorization", given))
        return draft

    def headers(self, interface: Interface) -> _Draft:
        """Good calls with strange conditional headers, keys, hosts and lengths."""
        random = self._random
        method, path, document = self._write(interface)
        draft = self._draft(interface, method, path, values.dump(values.disfigured(document, random)))
        for _ in range(random.randint(1, 3)):
            self._spoil_headers(draft)
        if random.random() < 0.1:
            draft.headers += [(f"X-{n}", "y" * 20) for n in range(random.choice((100, 1500)))]
        if random.random() < 0.02:
            draft.headers.append(("X-Large", "z" * 70_000))
            draft.closes = True
        return draft

    def framing(self, interface: Interface) -> _Draft:
        """Requests that are no HTTP, or say two things at once; nothing can follow them."""
        random = self._random
        method, path, document = self._write(interface)
        draft = self._draft(interface, method, path, values.dump(values.disfigured(document, random)))
        draft.closes = True
        match random.randrange(7):
            case 0:
                draft.headers += [("Transfer-Encoding", "chunked"), ("Content-Length", "5")]
            case 1:
                draft.headers.append(("Transfer-Encoding", "chunked"))
                draft.body = random.choice(
                    (b"zz\r\n{}\r\n", b"-1\r\n", b"fffffffffffffffff\r\n", b"2\r\n{}x")
                )
            case 2:
                draft.headers.append(("Content-Length", random.choice(("-1", "x", "1e3", "9" * 30, "0x5"))))
            case 3:
                draft.headers += [("Content-Length", "2"), ("Content-Length", "7")]
            case 4:
                draft.version = random.choice(
                    (b"HTTP/9.9", b"HTTP/x", b"HTTP", b"", b"HTTPS/1.1", b"SSH-2.0")
                )
            case 5:
                draft.headers.append((random.choice(("a b", "a\0b", "é", "a(b", "a\x0bb")), "x"))
            case _:
                draft.headers.append(
                    ("X-Line", random.choice((b"a\0b", b"a\rb", b"a\x01b", b"\n", b"a\nb c")))
                )
        return draft

    def _some_path(self, interface: Interface) -> str:
        names = words.REST_NAMES if interface is Interface.REST else words.SCIM_NAMES
        return f"/{self._random.choice(names)}"

    # REST

    def unknown_id(self, interface: Interface) -> _Draft:
        """Calls about objects that never were, by ids of every shape."""
        random = self._random
        kind = random.choice(tuple(words.KINDS))
        id_ = random.choice(
            (f"{words.KINDS[kind]}_{_NOBODY}", _NOBODY, _encoded(values.text(random)) or "%20", "null", "0")
        )
        method = random.choice(("GET", "PUT", "PATCH", "DELETE", "POST"))
        tail = random.choice(("", "", "", "/rotate_secret", "/verify", "/bearer_tokens", "/sync", "/roles"))
        body = None if method in ("GET", "DELETE") else values.dump({"name": values.text(random)})
        return self._draft(interface, method, f"/{kind}/{id_}{tail}", body)

    def idempotency(self, interface: Interface) -> _Draft:
        """Keys that are too long, empty, binary, or were used for another body."""
        random = self._random
        draft = self.wrong_body(interface)
        key = random.choice(
            ("k1", "k1", "k2", "", " ", "x" * 300, "x" * 9000, b"\xff\xfe", "a b", "é".encode())
        )
        draft.headers.append(("Idempotency-Key", key))
        return draft


def vars_of(target: Target) -> dict[str, str]:
    """Return the ids of a target under the names that paths use."""
    return {"organization": target.organization_id, "nobody": _NOBODY}


def _finished(interface: Interface, what: str, draft: _Draft) -> Request:
    path = draft.path if isinstance(draft.path, bytes) else draft.path.encode("utf-8", "surrogatepass")
    lines = [draft.method.encode() + b" " + path + (b" " + draft.version if draft.version else b"")]
    lines.append(b"Host: syncline.test")
    for name, value in draft.headers:
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()))
    names = {name.lower() for name, _ in draft.headers}
    if draft.body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(b"Content-Length: %d" % len(draft.body))
    raw = b"\r\n".join(lines) + b"\r\n\r\n" + (draft.body or b"")
    broken = any(byte <= 0x20 or byte == 0x7F for byte in path)
    closes = draft.closes or broken or len(raw) > _LARGE or draft.method in ("CONNECT", "brew", "")
    return Request(interface, what, draft.method, path, raw, closes)


def _encoded(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


def _text_part(random: Random) -> str:
    return (
        _encoded(values.text(random))
        if random.random() < 0.7
        else quote(values.text(random)[:40], errors="replace")
    )


def _operations(path: str, value: str) -> dict[str, Any]:
    return {"schemas": [_PATCH], "Operations": [{"op": "replace", "path": path, "value": value}]}


_Maker = Callable[[Generator, Interface], _Draft]
_COMMON: tuple[tuple[str, _Maker, float], ...] = (
    ("broken body", Generator.broken_body, 14),
    ("wrong body", Generator.wrong_body, 18),
    ("media type", Generator.wrong_type, 6),
    ("query", Generator.query, 10),
    ("path", Generator.path, 10),
    ("method", Generator.method, 6),
    ("credentials", Generator.credentials, 6),
    ("headers", Generator.headers, 6),
    ("framing", Generator.framing, 3),
    ("size", Generator.large_body, 0.15),
)
_SCIM = (
    *_COMMON,
    ("filter", Generator.filter, 14),
    ("patch", Generator.patch, 16),
    ("bulk", Generator.bulk, 2),
)
_REST = (
    *_COMMON,
    ("unknown id", Generator.unknown_id, 10),
    ("idempotency", Generator.idempotency, 5),
)
_REST_WRITES: tuple[tuple[str, str, Callable[[Generator], Any]], ...] = (
    (
        "POST",
        "/organizations",
        lambda _: {"name": "North", "domains": ["n.example"], "metadata": {"a": "b"}, "external_id": "e"},
    ),
    ("PUT", "/organizations/{prey_organization}", lambda _: {"name": "South", "metadata": {"tier": "gold"}}),
    (
        "POST",
        "/organization_domains",
        lambda one: {"organization_id": one._target.organization_id, "domain": "n.example"},
    ),
    (
        "POST",
        "/directories",
        lambda one: {
            "organization_id": one._target.prey["prey_organization"],
            "name": "Okta",
            "type": "okta scim v2.0",
            "inactive_users": "keep",
        },
    ),
    ("PATCH", "/directories/{prey_directory}", lambda _: {"name": "Renamed", "inactive_users": "delete"}),
    (
        "POST",
        "/directories/{prey_directory}/bearer_tokens",
        lambda _: {"label": "x", "expires_at": "2099-01-01T00:00:00Z"},
    ),
    (
        "POST",
        "/webhook_endpoints",
        # Subscribed to what hardly happens, at a name that never resolves: nothing is sent anywhere.
        lambda _: {"endpoint_url": "https://hooks.invalid/a", "events": ["dsync.deleted"]},
    ),
    (
        "PATCH",
        "/webhook_endpoints/{prey_endpoint}",
        lambda _: {
            "status": "disabled",
            "events": ["dsync.deleted"],
            "endpoint_url": "https://b.invalid/",
        },
    ),
    ("POST", "/webhook_endpoints/{prey_endpoint}/rotate_secret", lambda _: {"overlap_seconds": 60}),
    ("POST", "/api_keys", lambda _: {"name": "k", "scopes": ["read"], "expires_at": "2099-01-01T00:00:00Z"}),
)
