"""Invented names of communities, blocks and streets."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from api.demo.places import (
    COMMUNITIES,
    ESTATE_KINDS,
    ESTATE_STEMS,
    STREET_STEMS,
    SUBDISTRICTS,
    Subdistrict,
)

Name = tuple[str, str]
"""The Chinese name and its English rendering."""

_ORDINALS_ZH = ("一", "二")
_ORDINALS_EN = ("First", "Second")


def name_communities(spec: Subdistrict) -> list[Name]:
    """Return the names of a subdistrict's level-2 cells; a community with two cells numbers them."""
    first = 0
    for other in SUBDISTRICTS:
        if other.code == spec.code:
            break
        first += other.communities
    names: list[Name] = []
    doubled = len(spec.blocks) - spec.communities
    for k in range(spec.communities):
        zh, en = COMMUNITIES[first + k]
        if k < doubled:
            names.extend(
                (f"{zh}社区第{_ORDINALS_ZH[n]}网格", f"{en} Community, {_ORDINALS_EN[n]} Grid") for n in range(2)
            )
        else:
            names.append((f"{zh}社区", f"{en} Community"))
    return names


def name_blocks(spec: Subdistrict, rng: random.Random) -> Callable[[int, int, int], Name]:
    """Return a namer of level-3 cells: running number, community number, number inside it → name."""
    pairs = [(s, k) for s in ESTATE_STEMS for k in ESTATE_KINDS]
    rng.shuffle(pairs)
    exclusive = {4: ("商场", "Mall"), 13: ("校园", "Campus"), 27: ("商场", "Mall")}

    def namer(number: int, community: int, seq: int) -> Name:
        (zh, en), (kind_zh, kind_en) = pairs[number]
        kind_zh, kind_en = exclusive.get(number, (kind_zh, kind_en))
        return (
            f"{spec.short_zh}{community}-{seq:02d} {zh}{kind_zh}",
            f"{spec.short_en} {community}-{seq:02d} {en} {kind_en}",
        )

    return namer


def name_streets(
    lines: Mapping[int, tuple[tuple[int, int], ...]], levels: Mapping[int, int], rng: random.Random
) -> dict[int, Name]:
    """Name every street: 路 for large ones west–east, 街 for north–south, 巷 for lanes between blocks."""
    stems = list(STREET_STEMS)
    rng.shuffle(stems)
    prefixes: tuple[Name, ...] = (
        ("", ""),
        ("东", "East "), ("西", "West "), ("南", "South "), ("北", "North "), ("中", "Middle "), ("新", "New "),
    )  # fmt: skip
    names: dict[int, Name] = {}
    taken: set[str] = set()
    for street, line in lines.items():
        wide = abs(line[-1][0] - line[0][0]) * 0.82 > abs(line[-1][1] - line[0][1])
        large = ("路", "Road") if wide else ("街", "Street")
        kind = large if levels[street] < 3 else ("巷", "Lane")
        for n in range(len(stems) * len(prefixes)):
            zh, en = stems[(street + n) % len(stems)]
            more_zh, more_en = prefixes[(street + n) // len(stems) % len(prefixes)]
            if zh + more_zh + kind[0] not in taken:
                break
        taken.add(zh + more_zh + kind[0])
        names[street] = (zh + more_zh + kind[0], f"{en} {more_en}{kind[1]}")
    return names
