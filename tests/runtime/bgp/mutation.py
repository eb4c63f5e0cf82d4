"""Damage to messages, by a random."""

from __future__ import annotations

from random import Random

_EDGES = (0, 1, 2, 3, 4, 7, 8, 14, 15, 16, 20, 32, 33, 127, 128, 129, 255)


def mutate(data: bytes, random: Random) -> bytes:
    """`data` with one to six things done to it: octets changed, bits flipped, parts cut, doubled, added."""
    text = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        if not text:
            break
        place = random.randrange(len(text))
        what = random.randrange(7)
        if what == 0:
            text[place] = random.randrange(256)
        elif what == 1:
            text[place] ^= 1 << random.randrange(8)
        elif what == 2:
            del text[place : place + random.randrange(1, 6)]
        elif what == 3:
            text[place:place] = random.randbytes(random.randrange(1, 6))
        elif what == 4:
            del text[place:]
        elif what == 5:
            text[place] = random.choice(_EDGES)
        else:
            text[place:place] = text[random.randrange(len(text)) :][: random.randrange(1, 12)]
    return bytes(text)
