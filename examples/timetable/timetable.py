"""When the ferry leaves: the part that can be tested without a server."""

FIRST, LAST, EVERY = 6 * 60, 22 * 60, 20  # minutes after midnight


def departures(now, count=3):
    """The next departures at or after `now`, in minutes after midnight, at most `count` of them."""
    if count < 1:
        raise ValueError("count must be at least 1")
    start = max(FIRST, -(-now // EVERY) * EVERY)
    return list(range(start, LAST + 1, EVERY))[:count]


def clock(minutes):
    """06:20 for 380."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def parse(words):
    """380 for 06:20."""
    hours, minutes = words.split(":")
    value = int(hours) * 60 + int(minutes)
    if not 0 <= value < 24 * 60 or len(minutes) != 2:
        raise ValueError(f"not a time of day: {words}")
    return value
