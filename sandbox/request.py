"""What the stand-in for Slack remembers of a request, and its page shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Optional


@dataclass
class Request:
    """A request that reached a webhook's address, filled in as it is answered.

    `status` and `answer` stay None and "" where no answer was sent; `reason` says why it was not accepted.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    channel: Optional[str]  # noqa: UP045 - a dataclass of Python 3.9
    time: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    status: Optional[int] = None  # noqa: UP045
    answer: str = ""
    reason: Optional[str] = "not answered yet"  # noqa: UP045
    payload: Optional[dict[str, Any]] = None  # noqa: UP045

    @property
    def accepted(self) -> bool:
        return self.payload is not None
