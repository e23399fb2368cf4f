"""Texts: lines in a file by default, messages at Twilio when it is configured.

The payload of both channels is `{"to": E.164, "body": str}`. The body already carries the intent's
`reference` as "Ref XXXXXXXX": it is what a look-up after a crash goes by. Phone numbers and bodies stay
out of every reason, exception and log record.
"""

from arrears.channels.sms.outbox import OutboxSms
from arrears.channels.sms.twilio import TwilioSms

__all__ = ["OutboxSms", "TwilioSms"]
