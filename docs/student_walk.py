"""A page walk as a student hands it in: it finds every page of the first example, and has three faults."""

from minihv.testing import Fault, NotCanonical

PRESENT, WRITABLE, USER, LARGE, PAT = 1 << 0, 1 << 1, 1 << 2, 1 << 7, 1 << 12
NO_EXECUTE = 1 << 63
FRAME = 0x000F_FFFF_FFFF_F000
ALL = 0xFFFF_FFFF_FFFF_FFFF


def walk(read_u64, root, gva, *, write, user, execute):
    """The physical address of ``gva``, or the fault that the access gets."""
    if 1 << 47 <= gva < (1 << 64) - (1 << 47):
        return NotCanonical(gva)
    code = 2 * write + 4 * user + 16 * execute
    table = root & FRAME
    for shift in (39, 30, 21, 12):
        entry = read_u64(table + 8 * (gva >> shift & 0x1FF))
        if not entry & PRESENT:
            return Fault(code)
        rights = entry ^ NO_EXECUTE
        large = shift > 12 and entry & LARGE
        if large or shift == 12:
            break
        table = entry & FRAME
    if (write and not rights & WRITABLE) or (user and not rights & USER):
        return Fault(code | 1)
    if execute and not rights & NO_EXECUTE:
        return Fault(code | 1)
    page = entry & FRAME & -(1 << shift)
    return page | gva & 0xFFF
