"""Values of people as examples: masked, unless an administrator asks for them as they are."""

from __future__ import annotations

from syncline.core.errors import FieldError, Forbidden, ValidationFailed
from syncline.web.api.described import Parameter, note
from syncline.web.api.routing import Call

SAMPLES = note(
    "Up to three values. Unless many people share them, letters are x and X in them and digits 0.",
    ["xxxx.xxxx@xxxxxxxxx.xxxxxxx"],
)
MASKED = note("Whether samples that could tell about a person are masked.", True)
UNMASKED = Parameter(
    "unmasked",
    "`true` shows samples as they are, to a key with the scope `admin`.",
    {"type": "string", "enum": ["true", "false"], "default": "false"},
)


def is_masked(call: Call) -> bool:
    """Tell whether samples are to be masked. Raises `ValidationFailed`, and `Forbidden` for other keys."""
    asked = call.text("unmasked") or "false"
    if asked not in ("true", "false"):
        raise ValidationFailed([FieldError("unmasked", "unmasked_invalid")])
    if asked == "true" and not call.caller.may("admin"):
        raise Forbidden("Samples without masks need a key with the scope 'admin'.")
    return asked != "true"
