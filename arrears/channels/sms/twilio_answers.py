"""What Twilio's refusals and a broken connection say about a text.

Twilio's own messages hold the recipient's number and a network fault's text holds the URL, so neither
is repeated: reasons are our words, with the code to look up.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from requests.exceptions import ConnectTimeout
from urllib3.exceptions import MaxRetryError, NewConnectionError

from arrears.channels.effect import Declined, InDoubt, Outcome, Refused, TryAgain

_REASONS: Final[Mapping[int, str]] = {
    21211: "the recipient's number is no valid phone number",
    21408: "this Twilio account may not text the recipient's region",
    21602: "the text has no body",
    21603: "the text has no sender",
    21604: "the text has no recipient",
    21606: "the sender (TWILIO_FROM) cannot send texts",
    21610: "the recipient has replied STOP to this sender",
    21612: "Twilio has no route from the sender to the recipient's number",
    21614: "the recipient's number is no mobile number",
    21617: "the text is longer than Twilio takes",
}
_OPTED_OUT: Final = 21610
_TOO_MANY_REQUESTS: Final = 20429
_FIRST_CODE_ABOUT_A_MESSAGE: Final = 21_000


def outcome_of_refusal(status: int | None, code: object, retry_after: timedelta | None) -> Outcome:
    """What an answer other than success says; `code` is Twilio's error code, or the HTTP status if it gave none."""
    number = code if isinstance(code, int) else status or 0
    if status == 429 or number == _TOO_MANY_REQUESTS:
        return TryAgain("Twilio has had too many requests", retry_after)
    # The operator's to repair, and not the fault of the account that is due: nothing was sent, nothing has failed.
    if status in (401, 403, 404, 407) and number < _FIRST_CODE_ABOUT_A_MESSAGE:
        return TryAgain(
            f"Twilio did not let us in (HTTP {status}, error {number}): "
            "check TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and ARREARS_TWILIO_BASE_URL"
        )
    if status is None or status == 408 or not 400 <= status < 500:
        return InDoubt(f"Twilio answered HTTP {status}")
    unnamed = f"Twilio refused the text: https://www.twilio.com/docs/errors/{number}"
    reason = f"Twilio refused the text with HTTP {status}" if number == status else _REASONS.get(number, unnamed)
    return Declined(str(number), reason) if number == _OPTED_OUT else Refused(str(number), reason)


def outcome_of_fault(error: Exception) -> Outcome:
    """What a network fault says: known not to have left only if no connection was made."""
    # Not by walking __context__: a fault that the caller happens to be handling would be in that chain, too.
    cause = error.args[0] if error.args else None
    never_connected = isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
    if never_connected or isinstance(error, ConnectTimeout):
        return TryAgain("Twilio could not be reached: no connection was made")
    return InDoubt(f"the connection to Twilio failed when the text may have left already: {type(error).__name__}")
