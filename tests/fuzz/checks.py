"""What targets share: bytes as text, and checks that may stand where an error has been caught."""

from __future__ import annotations

from syncline.core.scim.errors import ScimError

_BODY_TYPES = ("invalidValue", "invalidSyntax", "invalidPath", "noTarget", "mutability", "tooMany")


def text_of(data: bytes) -> str:
    """Return bytes as text, with lone surrogates where they are no UTF-8."""
    return data.decode("utf-8", "surrogateescape")


def check(holds: bool, what: object) -> None:
    """Fail with what was found unless it holds."""
    assert holds, what


def check_refusal(error: ScimError, *scim_types: str) -> None:
    """Check that a refusal is one the contract names: 400 of these kinds, or of those for bodies and 413."""
    if error.status != 413 or scim_types:
        check(error.status == 400 and error.scim_type in (scim_types or _BODY_TYPES), repr(error))
    check_sentence(error.detail)


def check_sentence(text: str) -> None:
    """Check that a sentence for a client is short and can be sent."""
    check(0 < len(text) < 2_000, f"a sentence of {len(text)} characters")
    text.encode()
