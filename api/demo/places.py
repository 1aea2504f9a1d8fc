"""What the demo takes from the world and what it makes up: subdistricts, figures, names.

The five subdistricts, their codes, centres and published figures are facts (DOMAIN §9). Communities, estates, streets,
markets, schools and stations are invented; a name that also exists somewhere is a coincidence.
"""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]

JURISDICTION = "410100"
ORIGIN = (113.636, 34.760)
"""Origin of the local frame, `(lon, lat)`. SRID: 4326."""

LEDGER_ISSUE = "ledger_issue"
SOCIAL_INFORMATION = "social_information"
THREE_ILLEGALS = "three_illegals"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFigure:
    """Published total of one ledger of a subdistrict."""

    ledger: str
    total: int
    closed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subdistrict:
    """One subdistrict: identity, figures to reproduce, and the sketch of its outline.

    Attributes
    ----------
    blocks
        Number of level-3 cells in each level-2 cell; its length is the number of level-2 cells.
    communities
        Number of communities; where it is smaller than the number of level-2 cells, the first communities have two.
    open_cases
        How many of the cases that are not closed are being worked on; the others are suspended.
    outline
        Corner names into `CORNERS`, counter-clockwise.
    area_m2
        Area to reach exactly, or None where no figure was published. Units: square metres on the ellipsoid.
    """

    code: str
    name_zh: str
    name_en: str
    short_zh: str
    short_en: str
    blocks: tuple[int, ...]
    communities: int
    population: int
    total: int
    closed: int
    open_cases: int
    outline: tuple[Point, ...]
    ledgers: tuple[LedgerFigure, ...] = ()
    area_m2: float | None = None


# Corners in metres east and north of ORIGIN. Two neighbours repeat a corner exactly: it becomes one point.
SUBDISTRICTS: tuple[Subdistrict, ...] = (
    Subdistrict(
        code="410102001",
        name_zh="林山寨街道",
        name_en="Linshanzhai Subdistrict",
        short_zh="林",
        short_en="Lin",
        blocks=(3, 4, 3, 3, 4, 3, 4, 3, 4, 3, 3, 4, 3, 4, 3),
        communities=12,
        population=71_360,
        total=15_882,
        closed=15_758,
        open_cases=62,
        outline=(
            (-770, -2815),
            (-150, -2880),
            (420, -2850),
            (450, -2610),
            (775, -2585),
            (740, -1930),
            (690, -1350),
            (160, -1375),
            (-415, -1320),
            (-450, -1530),
            (-765, -1505),
        ),
    ),
    Subdistrict(
        code="410102002",
        name_zh="建设路街道",
        name_en="Jianshelu Subdistrict",
        short_zh="建",
        short_en="Jian",
        blocks=(3, 4, 3, 3, 4, 3, 4, 3, 3),
        communities=9,
        population=58_240,
        total=12_115,
        closed=11_995,
        open_cases=58,
        outline=(
            (-2505, -1105),
            (-1950, -1125),
            (-1400, -1190),
            (-925, -1135),
            (-950, -625),
            (-1120, -610),
            (-1135, -195),
            (-1800, -250),
            (-2530, -225),
        ),
    ),
    Subdistrict(
        code="410102004",
        name_zh="秦岭路街道",
        name_en="Qinlinglu Subdistrict",
        short_zh="秦",
        short_en="Qin",
        blocks=(4, 4, 3, 4, 4, 4, 3, 4, 4, 4, 3),
        communities=11,
        population=52_900,
        total=5_776,
        closed=5_676,
        open_cases=42,
        outline=(
            (-4060, -1300),
            (-3020, -1395),
            (-2990, -1125),
            (-2505, -1105),
            (-2530, -225),
            (-3370, -180),
            (-3385, -30),
            (-3880, -40),
            (-3905, -250),
            (-4090, -265),
        ),
        ledgers=(
            LedgerFigure(ledger=LEDGER_ISSUE, total=1_609, closed=1_592),
            LedgerFigure(ledger=SOCIAL_INFORMATION, total=4_167, closed=4_084),
        ),
    ),
    Subdistrict(
        code="410104003",
        name_zh="南关街道",
        name_en="Nanguan Subdistrict",
        short_zh="南",
        short_en="Nan",
        blocks=(4, 3, 4, 3, 4, 4, 3, 4, 3, 4, 4),
        communities=11,
        population=57_914 + 22_918,
        total=386,
        closed=373,
        open_cases=8,
        area_m2=1_729_987.0,
        outline=(
            (2640, -2690),
            (3200, -2800),
            (3780, -2765),
            (3950, -2510),
            (3960, -1980),
            (3905, -1450),
            (3380, -1400),
            (2905, -1480),
            (2890, -1590),
            (2660, -1600),
            (2690, -2110),
        ),
    ),
    Subdistrict(
        code="410105008",
        name_zh="文化路街道",
        name_en="Wenhualu Subdistrict",
        short_zh="文",
        short_en="Wen",
        blocks=(4, 5, 4, 4, 5, 4, 5, 4, 4, 5, 4, 5, 4, 5, 4),
        communities=15,
        population=124_700,
        total=135_298,
        closed=133_669,
        open_cases=126,
        outline=(
            (1810, 2080),
            (2490, 2020),
            (2500, 1885),
            (3250, 1960),
            (3515, 2020),
            (3490, 2700),
            (3540, 3310),
            (3330, 3330),
            (3300, 3745),
            (2610, 3800),
            (2080, 3735),
            (2060, 3500),
            (1800, 3470),
            (1770, 2760),
        ),
        ledgers=(LedgerFigure(ledger=THREE_ILLEGALS, total=1_271, closed=943),),
    ),
)

COMMUNITIES: tuple[tuple[str, str], ...] = (
    ("协作", "Xiezuo"), ("棉坊", "Mianfang"), ("锦绣", "Jinxiu"), ("朝霞", "Zhaoxia"), ("百合", "Baihe"),
    ("文泰", "Wentai"), ("桐荫", "Tongyin"), ("长乐", "Changle"), ("育才", "Yucai"), ("清泉", "Qingquan"),
    ("丰裕", "Fengyu"), ("青藤", "Qingteng"), ("永宁", "Yongning"), ("春晓", "Chunxiao"), ("晨光", "Chenguang"),
    ("荷塘", "Hetang"), ("和顺", "Heshun"), ("新桥", "Xinqiao"), ("工人里", "Gongrenli"), ("秋实", "Qiushi"),
    ("柳林", "Liulin"), ("书院", "Shuyuan"), ("望河", "Wanghe"), ("西苑", "Xiyuan"), ("同德", "Tongde"),
    ("槐香", "Huaixiang"), ("金穗", "Jinsui"), ("北湾", "Beiwan"), ("友谊", "Youyi"), ("鼓楼里", "Gulouli"),
    ("东园", "Dongyuan"), ("明德", "Mingde"), ("砖桥", "Zhuanqiao"), ("紫藤", "Ziteng"), ("福寿", "Fushou"),
    ("石榴", "Shiliu"), ("城南里", "Chengnanli"), ("三里井", "Sanlijing"), ("向阳", "Xiangyang"), ("梧桐", "Wutong"),
    ("仁和", "Renhe"), ("银杏", "Yinxing"), ("博雅", "Boya"), ("翰林", "Hanlin"), ("学府", "Xuefu"),
    ("丰乐", "Fengle"), ("海棠", "Haitang"), ("黄家井", "Huangjiajing"), ("双槐", "Shuanghuai"), ("天河", "Tianhe"),
    ("松涛", "Songtao"), ("静安里", "Jing'anli"), ("麦田", "Maitian"), ("南湾", "Nanwan"), ("北苑", "Beiyuan"),
    ("群英", "Qunying"), ("红枫", "Hongfeng"), ("丽景", "Lijing"), ("迎春", "Yingchun"), ("古渡", "Gudu"),
    ("新华里", "Xinhuali"), ("绿波", "Lvbo"),
)  # fmt: skip

ESTATE_STEMS: tuple[tuple[str, str], ...] = (
    ("桃园", "Taoyuan"), ("兰苑", "Lanyuan"), ("纺机", "Fangji"), ("沁园", "Qinyuan"), ("银河", "Yinhe"),
    ("印刷厂", "Printworks"), ("枫林", "Fenglin"), ("安居", "Anju"), ("建工", "Jiangong"), ("金桂", "Jingui"),
    ("滨水", "Binshui"), ("电缆厂", "Cableworks"), ("景泰", "Jingtai"), ("梅园", "Meiyuan"), ("粮库", "Granary"),
    ("翠竹", "Cuizhu"), ("宏达", "Hongda"), ("机床厂", "Machine Tool"), ("丹枫", "Danfeng"), ("怡和", "Yihe"),
    ("水文", "Shuiwen"), ("华庭", "Huating"), ("木材厂", "Timber Yard"), ("康乐", "Kangle"), ("玉兰", "Yulan"),
)  # fmt: skip

ESTATE_KINDS: tuple[tuple[str, str], ...] = (
    ("小区", "Estate"), ("家属院", "Staff Compound"), ("片区", "Quarter"), ("花园", "Garden"), ("南院", "South Court"),
    ("新村", "New Village"), ("北院", "North Court"), ("公寓", "Flats"), ("东里", "East Lane"), ("大院", "Great Court"),
)  # fmt: skip

STREET_STEMS: tuple[tuple[str, str], ...] = (
    ("协力", "Xieli"), ("锦程", "Jincheng"), ("丰泽", "Fengze"), ("梧桐", "Wutong"), ("兴业", "Xingye"),
    ("青年", "Qingnian"), ("书香", "Shuxiang"), ("振兴", "Zhenxing"), ("云岭", "Yunling"), ("嵩月", "Songyue"),
    ("洛水", "Luoshui"), ("伊河", "Yihe"), ("百工", "Baigong"), ("集贤", "Jixian"), ("康复", "Kangfu"),
    ("工人", "Gongren"), ("长庚", "Changgeng"), ("汇文", "Huiwen"), ("崇德", "Chongde"), ("望嵩", "Wangsong"),
    ("杏林", "Xinglin"), ("槐荫", "Huaiyin"), ("沧浪", "Canglang"), ("和风", "Hefeng"), ("仓前", "Cangqian"),
    ("砚池", "Yanchi"), ("织女", "Zhinv"), ("启明", "Qiming"), ("石桥", "Shiqiao"), ("紫荆里", "Zijingli"),
    ("临泉", "Linquan"), ("丹阳里", "Danyangli"), ("北辰", "Beichen"), ("晓月", "Xiaoyue"), ("福民", "Fumin"),
    ("通惠", "Tonghui"), ("新风", "Xinfeng"), ("平等", "Pingdeng"), ("白鹭", "Bailu"), ("金谷", "Jingu"),
)  # fmt: skip

SPOTS: tuple[tuple[str, str, str], ...] = (
    ("market", "农贸市场", "Farmers' Market"),
    ("night_market", "夜市", "Night Market"),
    ("school", "小学", "Primary School"),
    ("station", "地铁站", "Metro Station"),
    ("hospital", "医院", "Hospital"),
    ("mall", "商场", "Mall"),
    ("school", "中学", "Middle School"),
    ("construction", "工地", "Building Site"),
    ("park", "游园", "Pocket Park"),
)
