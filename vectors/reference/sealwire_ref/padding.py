"""Padding policies (section 6.5).  A policy is "none", "buckets", "padme" or {"fixed": n}."""
from .wire import MAX_CONTENT

BUCKETS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


def padded(policy, length):
    """L + zeros for a content length L."""
    if not 0 <= length <= MAX_CONTENT:
        raise ValueError("content length")
    if policy == "none":
        return length
    if policy == "buckets":
        return next(b for b in BUCKETS if b >= length)
    if policy == "padme":
        if length < 2:
            return length
        e = length.bit_length() - 1
        s = e.bit_length()  # floor(log2 E) + 1
        m = (1 << (e - s)) - 1 if e >= s else 0
        return (length + m) & ~m
    n = policy["fixed"]
    if length > n:
        raise ValueError("content longer than the fixed size")
    return n
