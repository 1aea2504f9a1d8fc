"""Chinese addresses as people type them, folded to one way of writing. Pure: no SQL, no clock, no settings.

Both sides pass here, the names of the gazetteer and the question, so a rule need not be right about the world (二七路
becomes 27路), only the same for both.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["MOST_LETTERS", "Address", "fold", "parse_address", "terms"]

MOST_LETTERS = 400

_VARIANTS = str.maketrans(
    "號樓區門園廣場東華橋縣鎮鄉莊衛國學醫車站銀購龍馬長陽寧濱灣際馨麗業營緯經複復寶錦繡鑫蘭",
    "号楼区门园广场东华桥县镇乡庄卫国学医车站银购龙马长阳宁滨湾际馨丽业营纬经复复宝锦绣鑫兰",
)
_DIGITS = {char: index for index, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_DIGITS |= {char: index for index, char in enumerate("零壹贰叁肆伍陆柒捌玖")}
_UNITS = {"十": 10, "百": 100, "千": 1000, "拾": 10, "佰": 100, "仟": 1000}
_NUMERAL = re.compile(
    r"[零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖](?:[零〇一二三四五六七八九十百千壹贰叁肆伍陆柒捌玖拾佰仟])*|[十拾][一二三四五六七八九壹贰叁肆伍陆柒捌玖]?"
)
_HAN = "\u3400-\u9fff"
# Divisions before the place itself. 小区, 园区 and 社区 end in 区 as well and are not divisions.
_DIVISIONS = re.compile(
    rf"^(?:[{_HAN}]{{2,3}}省)?(?:[{_HAN}]{{2,4}}市)?(?:[{_HAN}]{{1,4}}(?<![小园社院厂])(?:区|县))?"
    rf"(?:[{_HAN}]{{2,5}}(?:街道办事处|街道办|街道))?(?:[{_HAN}0-9]{{2,6}}社区(?!服务|医院|活动|卫生))?"
)
_JOINTS = re.compile(r"[与和跟及、/&＆+×x-]+")
_ROAD = re.compile(rf"[{_HAN}0-9]{{1,8}}?(?:大道|大街|路|街|巷|道|胡同)(?![口])?")
_CORNER = re.compile(r"(?:[东南西北]{1,2}(?:角|侧|边|面)?)$")
_NEAR = re.compile(
    r"(?:附近|旁边|旁|斜对面|对面|对过|周边|周围|一带|沿线|中间|之间"
    r"|(?:往|向|以)?[东南西北]{1,2}(?:侧|边|面|方向|方|走)?(?:约|大约)?(?:\d+(?:多)?米)?(?:处|左右|路[东南西北])?"
    r"|路[东南西北]|约?\d+(?:多)?米(?:处|左右)?)$"
)
_DETAIL = re.compile(
    r"(?:(?:第?\d+|[a-z]\d*|[甲乙丙丁东南西北])(?:号楼|栋|幢|座|单元|门|室|户|层|排|楼|号|f)"
    r"|(?:[东南西北正大后前]{1,2})?门(?:口|前|外|岗)?|院?内|里面|里边|地下室|车库|楼道|楼下|楼顶|电梯(?:间)?|\d{1,4}(?:室)?)+$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address folded.

    Parameters
    ----------
    key
        The whole of it, without divisions and punctuation; a crossing is ``x:`` and its two roads in order.
    is_near
        It says "beside", "opposite", "50 m east of": the place itself is not meant.
    """

    key: str
    is_near: bool = False
    is_crossing: bool = False


def fold(text: str) -> str:
    """One way of writing: half width, lower case, simplified variants, digits for numerals, no spaces.

    Examples
    --------
    >>> fold("建设路１２３號 Ａ座")
    '建设路123号a座'
    >>> fold("建设路一百二十三号"), fold("十里铺一二三号"), fold("百货大楼")
    ('建设路123号', '10里铺123号', '百货大楼')
    """
    text = unicodedata.normalize("NFKC", text[:MOST_LETTERS]).lower().translate(_VARIANTS)
    text = "".join(text.split())
    return _NUMERAL.sub(lambda found: _number(found.group()), text)


def parse_address(text: str) -> Address:
    """Fold an address and see what it names.

    Examples
    --------
    >>> parse_address("郑州市中原区林山寨街道锦绣小区3号楼").key
    '锦绣小区3号楼'
    >>> parse_address("桐柏路与建设路交叉口东南角").key == parse_address("建设路桐柏路口").key
    True
    >>> parse_address("锦绣小区对面")
    Address(key='锦绣小区', is_near=True, is_crossing=False)
    """
    folded = re.sub(r"[\(\[【〔].*?[\)\]】〕]", "", fold(text)) or fold(text)
    rest = re.split(r"[,，。;；:：!！?？\"“”'']", folded)
    folded = "".join(part for part in rest if part)
    short = _DIVISIONS.sub("", folded)
    folded = short if len(short) >= 2 else folded
    crossing = _crossing(folded)
    if crossing:
        return Address(key=crossing, is_crossing=True)
    bare, near = folded, False
    while (found := _NEAR.search(bare)) and found.start() >= 2:
        bare, near = bare[: found.start()], True
        crossing = _crossing(bare)
        if crossing:
            return Address(key=crossing, is_near=True, is_crossing=True)
    return Address(key=_plain(bare), is_near=near)


def is_detail(text: str) -> bool:
    """Whether words after a place's name only say where inside it: building, unit, room, gate.

    Examples
    --------
    >>> is_detail("3号楼2单元501室"), is_detail("南门"), is_detail("医院")
    (True, True, False)
    """
    return bool(_DETAIL.fullmatch(text))


def is_way(text: str) -> bool:
    """Whether words before a place's name only say the road that leads there, with or without a number."""
    return bool(re.fullmatch(rf"(?:[{_HAN}0-9]{{1,8}}?(?:大道|大街|路|街|巷|道|胡同)(?:\d+号(?:院)?)?)+", text))


def terms(key: str) -> list[str]:
    """What a key is found by: itself (marked), and its pairs of characters.

    Examples
    --------
    >>> terms("锦绣园")
    ['=锦绣园', '锦绣', '绣园']
    """
    body = key.removeprefix("x:")
    pairs = [body[at : at + 2] for at in range(len(body) - 1)] or [body]
    return list(dict.fromkeys([f"={key}", *pairs]))


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def _number(text: str) -> str:
    """A numeral, positional (一二三) or with units (一百二十三)."""
    if not any(char in _UNITS for char in text):
        return "".join(str(_DIGITS[char]) for char in text)
    total, digit = 0, 0
    for char in text:
        if char in _UNITS:
            total += (digit or 1) * _UNITS[char]
            digit = 0
        else:
            digit = digit * 10 + _DIGITS[char]
    return str(total + digit)


def _crossing(text: str) -> str | None:
    """The key of a crossing, whichever road is named first; None when no two roads are named."""
    bare = _CORNER.sub("", text) or text
    # 桐柏路口 is 桐柏路 + 口, 桐柏路路口 is 桐柏路 + 路口: whichever leaves two whole roads.
    for ending in (
        "十字路口",
        "丁字路口",
        "三岔路口",
        "交叉路口",
        "交叉口",
        "交汇处",
        "交会处",
        "交叉处",
        "交叉",
        "路口",
        "口",
    ):
        if bare.endswith(ending):
            roads = _two_roads(bare[: -len(ending)])
            if roads:
                return roads
    return _two_roads(bare) if _JOINTS.search(bare) else None


def _two_roads(text: str) -> str | None:
    parts = [part for part in _JOINTS.split(text) if part]
    if len(parts) == 1:
        found = _ROAD.findall(text)
        if "".join(found) != text:
            return None
        parts = found
    if len(parts) != 2 or not all(_ROAD.fullmatch(part) for part in parts):
        return None
    first, second = sorted(_plain(part) for part in parts)
    return f"x:{first}|{second}" if first != second else None
