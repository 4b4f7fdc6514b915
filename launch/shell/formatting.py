"""Numbers as a person reads them, the same on terminals and on pages."""

from __future__ import annotations


def percent(part: float, whole: float) -> str:
    """A share with as many digits as it deserves: (1, 30) -> 3.3 %."""
    if not whole:
        return "–"
    share = 100 * part / whole
    if not part:
        return "0 %"
    if share < 0.01:
        return "< 0.01 %"
    return f"{share:.{0 if share >= 10 else 1 if share >= 1 else 2}f} %"


def short(number: float) -> str:
    """1234567 -> 1.23 M; exact below ten thousand."""
    if abs(number) < 10_000:
        return f"{number:,.0f}"
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            digits = 2 if abs(number) < 10 * size else 1 if abs(number) < 100 * size else 0
            return f"{number / size:.{digits}f} {suffix}"
    return str(number)


def byte_size(count: float) -> str:
    """Bytes: 1,234,567,890 -> 1.23 GB."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:,.{decimals(count / factor)}f} {unit}"
    return f"{count / 1e3:,.1f} kB"


def decimals(value: float) -> int:
    """Digits after the point that are worth reading: 2 below 10, 1 below 100."""
    return 0 if value >= 100 else 1 if value >= 10 else 2


def counted(number: int, what: str, plural: str = "s") -> str:
    """(2, "row") -> 2 rows."""
    return f"{number:,} {what}{'' if number == 1 else plural}"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: 3725 -> 1:02:05."""
    whole = int(seconds)
    return f"{whole // 3600:d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
