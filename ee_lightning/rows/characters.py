"""Texts that hold no characters: halves of surrogate pairs, and bytes that are not UTF-8."""


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded; halves of surrogate pairs can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def half_a_pair(text: str) -> str:
    """Say which half of a surrogate pair, which is no character, a text that is no Unicode holds."""
    return f"{first_half(text)!a}, half of a surrogate pair"


def is_undecoded(text: str) -> bool:
    """Whether a text that is no Unicode holds bytes that `surrogateescape` let through."""
    return "\udc80" <= first_half(text) <= "\udcff"


def first_half(text: str) -> str:
    """Give the first half of a surrogate pair in a text that is no Unicode."""
    return next(character for character in text if not is_unicode(character))
