"""British English with a 24-hour clock and seconds, which a ledger is read by."""

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = "j M Y, H:i:s"
