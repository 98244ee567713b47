"""How the control API answers: JSON in ASCII."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse


class ControlAnswer(JSONResponse):
    """JSON whose other characters are escaped.

    What clients have sent is repeated here, and with JSON they can send half of a surrogate pair, which UTF-8 has no
    bytes for.
    """

    def render(self, content: Any) -> bytes:
        """Write the answer."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")
