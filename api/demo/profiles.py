"""How problems of each class behave: where, at what hours, in which months, how often, and in whose words."""

from __future__ import annotations

from dataclasses import dataclass

# Hours of the day as weights of 24; index = local hour.
HOURS: dict[str, tuple[float, ...]] = {
    # Vendors and rubbish: before work, and again when people come home.
    "rush": (1, 0, 0, 0, 0, 1, 5, 11, 12, 8, 7, 6, 4, 3, 4, 5, 8, 12, 13, 10, 6, 4, 2, 1),
    # What patrols find while walking.
    "day": (0, 0, 0, 0, 0, 0, 1, 5, 13, 14, 12, 8, 3, 3, 10, 12, 11, 8, 4, 2, 1, 1, 0, 0),
    "evening": (3, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 1, 1, 2, 4, 7, 11, 15, 17, 15, 10, 6),
    "night": (10, 8, 6, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 5, 9, 13, 13),
    "school": (0, 0, 0, 0, 0, 0, 4, 16, 8, 2, 1, 6, 6, 3, 3, 3, 12, 14, 6, 2, 1, 1, 0, 0),
    "any": (3, 2, 2, 1, 1, 2, 4, 6, 6, 6, 6, 5, 5, 5, 5, 5, 6, 6, 6, 6, 5, 5, 4, 3),
    "office": (0, 0, 0, 0, 0, 0, 0, 1, 9, 14, 13, 8, 1, 1, 9, 13, 12, 7, 1, 1, 0, 0, 0, 0),
}  # fmt: skip

# Months as weights of 12, January first.
SEASONS: dict[str, tuple[float, ...]] = {
    "flat": (8, 6, 9, 9, 9, 9, 9, 9, 9, 9, 9, 8),
    "summer": (2, 2, 4, 7, 11, 15, 17, 16, 11, 6, 3, 2),
    "winter": (16, 13, 7, 4, 3, 3, 3, 3, 4, 7, 12, 16),
    "snow": (40, 22, 3, 0, 0, 0, 0, 0, 0, 0, 8, 30),
    "rain": (1, 1, 3, 5, 7, 14, 30, 22, 10, 4, 2, 1),
    "leaves": (5, 3, 4, 3, 3, 3, 3, 3, 5, 14, 28, 14),
    "spring": (3, 6, 18, 20, 14, 8, 5, 5, 6, 7, 5, 3),
}

WEEKDAYS: dict[str, tuple[float, ...]] = {
    "work": (11, 10.5, 10, 10, 10.5, 7, 5.5),
    "leisure": (8, 8, 8, 8.5, 10.5, 12.5, 12),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Behaviour of the cases of one category. `places` are the kinds of sites that draw them."""

    weight: float
    hours: str = "day"
    season: str = "flat"
    week: str = "work"
    places: tuple[str, ...] = ("street",)
    texts: tuple[str, ...] = ()
    late: float = 0.045
    """Share of the cases handled late."""


def _p(
    weight: float,
    hours: str = "day",
    places: tuple[str, ...] = ("street",),
    *texts: str,
    season: str = "flat",
    week: str = "work",
    late: float = 0.045,
) -> Profile:
    return Profile(weight=weight, hours=hours, season=season, week=week, places=places, texts=texts, late=late)


_STREET = ("street",)
_MARKET = ("market", "night_market", "street", "school")
_HOME = ("home",)

PROFILES: dict[str, Profile] = {
    "E0401": _p(
        100, "rush", _MARKET,
        "{spot}门口有流动摊贩占道经营，行人只能绕行机动车道",
        "{street}{side}有三轮车卖水果占道，影响通行",
        "{street}与{cross}交叉口早餐摊占用人行道，地面油污",
        "{street}有固定摊点占道经营，劝离后又回来",
        week="leisure", late=0.03,
    ),
    "E0101": _p(
        72, "rush", ("home", "market", "street"),
        "{street}{side}有暴露垃圾，散发异味",
        "{estate}门口垃圾袋散落一地",
        "{spot}旁边有成堆生活垃圾无人清运",
        "{street}绿化带内有塑料袋和饭盒",
        season="summer", late=0.025,
    ),
    "E0403": _p(
        61, "rush", ("school", "hospital", "mall", "street"),
        "{street}{side}机动车停在人行道上",
        "{spot}门口机动车乱停放，堵住出入口",
        "{street}非机动车道上停了一排小汽车",
        late=0.03,
    ),
    "E0404": _p(
        52, "rush", ("station", "mall", "school", "street"),
        "{spot}周边电动车停放杂乱，占用盲道",
        "{street}{side}非机动车停放不整齐",
        late=0.02,
    ),
    "E0402": _p(
        44, "evening", ("market", "mall", "street"),
        "{street}{number}号店外经营，货物摆到人行道上",
        "{spot}附近饭店把桌椅摆到店外",
        week="leisure", late=0.04,
    ),
    "E0201": _p(
        39, "day", ("street", "station", "home"),
        "{street}电线杆上张贴小广告",
        "{estate}楼道口被喷涂小广告",
        "{spot}外墙有成片小广告",
        late=0.02,
    ),
    "E0499": _p(
        34, "rush", ("station", "mall", "school"),
        "{spot}出口共享单车堆积，行人无法通过",
        "{street}{side}共享单车倒了一片",
        late=0.03,
    ),
    "E0405": _p(
        30, "day", ("street", "home", "construction"),
        "{street}{side}路边堆放杂物",
        "{estate}楼前堆放废旧家具和纸箱",
    ),
    "E0103": _p(
        27, "day", ("street", "construction", "market"),
        "{street}路面有污渍，下水口周边油腻",
        "{street}与{cross}交叉口路面遗撒沙土",
        late=0.02,
    ),
    "P0301": _p(24, "day", ("street", "station"), "{street}{side}果皮箱满溢", "{spot}门口果皮箱破损", late=0.03),
    "P0302": _p(23, "rush", ("home",), "{estate}垃圾桶站满溢，垃圾堆到桶外", season="summer", late=0.03),
    "E0409": _p(20, "evening", ("mall", "market", "street"), "{street}商铺用音响揽客，声音很大", week="leisure"),
    "E0602": _p(
        19, "evening", ("park", "home"),
        "{spot}广场舞音响声音太大，影响孩子写作业", "{estate}邻居装修噪声扰民",
        season="summer", week="leisure",
    ),
    "E0302": _p(17, "night", ("construction",), "{spot}夜间还在施工，无法休息", season="summer", late=0.07),
    "E0301": _p(15, "day", ("construction",), "{spot}黄土未覆盖，扬尘严重", season="winter", late=0.06),
    "P0101": _p(
        14, "any", _STREET,
        "{street}{side}井盖缺失，有安全隐患", "{street}与{cross}交叉口井盖松动，车过有响声",
        late=0.03,
    ),
    "P0202": _p(13, "day", ("street", "station"), "{street}{side}人行道地砖松动，下雨溅水", late=0.08),
    "P0201": _p(12, "day", _STREET, "{street}车行道有坑槽，约半米宽", season="rain", late=0.09),
    "E0105": _p(12, "any", _STREET, "{street}低洼处积水，没过脚踝", season="rain"),
    "E0406": _p(11, "evening", ("night_market", "street"), "{spot}旁露天烧烤", season="summer", week="leisure"),
    "E0106": _p(10, "evening", ("home", "night_market"), "{estate}楼下饭店油烟直排", late=0.08),
    "E0410": _p(9, "night", ("night_market",), "{spot}收摊后地面垃圾油污没有清理", week="leisure"),
    "E0407": _p(8, "day", ("home", "street"), "{street}{side}行道树间拉绳晾晒衣物", season="spring"),
    "P0103": _p(8, "evening", _STREET, "{street}路灯不亮，晚上走路看不清", season="winter", late=0.06),
    "P0401": _p(7, "day", _STREET, "{street}行道树枯枝悬挂，可能掉落", season="rain", late=0.05),
    "E0107": _p(6, "day", ("park", "street"), "{street}有人焚烧落叶", season="leaves"),
    "E0110": _p(6, "rush", ("street", "station"), "{street}路面结冰，行人滑倒", season="snow"),
    "E0603": _p(6, "any", _HOME, "{estate}消防通道被车辆堵塞", late=0.03),
    "E0102": _p(6, "day", ("construction", "home"), "{street}{side}有人偷倒建筑垃圾", late=0.07),
    "E0199": _p(6, "day", _HOME, "{estate}装修垃圾堆在楼下三天没人管", season="spring"),
    "E0408": _p(3, "night", ("station", "hospital"), "{spot}有流浪人员露宿，请救助", season="winter"),
    "E0304": _p(4, "night", ("construction", "street"), "{street}渣土车一路遗撒", late=0.06),
    "E0109": _p(4, "office", _HOME, "{estate}顶楼正在搭建彩钢房", late=0.16),
    "E0601": _p(4, "evening", ("park", "home"), "{estate}有人遛狗不牵绳", week="leisure"),
    "P0404": _p(3, "day", _STREET, "{street}树池篦子缺失，容易绊倒"),
    "P0402": _p(4, "day", ("park", "street"), "{spot}旁绿地黄土裸露", season="spring", late=0.06),
    "P0501": _p(3, "day", ("park", "home"), "{estate}健身器材松动，老人使用有危险"),
    "P0109": _p(4, "day", _STREET, "{street}有线缆垂落，离地不到两米"),
    "S0401": _p(
        52, "office", ("market", "street", "home"),
        "{street}{number}号商户无照经营", "{estate}一楼住宅改作棋牌室无证经营", late=0.2,
    ),
    "S0402": _p(
        16, "office", ("home", "construction"),
        "{estate}出租屋内小作坊加工食品", "{street}院内小作坊生产，气味刺鼻", late=0.22,
    ),
    "S0403": _p(32, "office", _HOME, "{estate}未批先建，正在加盖二层", "{street}沿街私搭门面房", late=0.28),
    "S0101": _p(34, "any", _HOME, "{estate}上下楼因漏水发生争执，请社区调解", "{estate}邻里因停车位争吵"),
    "S0102": _p(12, "evening", _HOME, "{estate}一户家庭争吵，请网格员上门了解"),
    "S0103": _p(6, "office", ("construction",), "{spot}工人反映工资未结清", season="winter", late=0.09),
    "S0201": _p(20, "office", ("market", "mall", "home"), "{street}{number}号商铺灭火器过期，安全出口堵塞", late=0.06),
    "S0202": _p(26, "evening", _HOME, "{estate}楼道内给电动车充电", "{estate}楼道堆放杂物，影响疏散", late=0.05),
    "S0203": _p(7, "office", _HOME, "{estate}外墙皮脱落，砸到车辆", season="rain", late=0.08),
    "S0301": _p(8, "office", _HOME, "居民来访反映{estate}供暖问题", season="winter", late=0.08),
    "S0302": _p(2, "office", _HOME, "{estate}多名业主反映维修基金使用问题", late=0.1),
    "S0501": _p(10, "office", _HOME, "{estate}一名居民希望介绍就业岗位", late=0.03),
    "S0502": _p(9, "office", _HOME, "{estate}一户居民申请临时救助", late=0.04),
    "S0601": _p(13, "office", _HOME, "{estate}老人慢性病随访登记", late=0.02),
    "S0602": _p(7, "day", _HOME, "{estate}蚊蝇较多，请安排消杀", season="summer"),
    "S0701": _p(18, "any", _HOME, "{estate}物业长期不打扫楼道", late=0.06),
    "S0702": _p(9, "any", _HOME, "{estate}电梯停运，老人无法下楼", late=0.04),
    "S0703": _p(8, "any", _HOME, "{estate}停水，不知道什么时候恢复", season="summer", late=0.03),
    "S0801": _p(16, "office", _HOME, "走访{estate}独居老人，家中需要帮助换灯泡", season="winter", late=0.01),
    "S0802": _p(15, "office", _HOME, "{estate}新增租户，完成登记", late=0.01),
    "S0803": _p(13, "office", _HOME, "{estate}居民希望增设休息座椅", late=0.03),
}  # fmt: skip

#: Classes without a profile of their own are rare; they are reported in these words.
RARE = _p(
    1.6, "day", ("street", "home"), "{street}{side}：{category}，请尽快处理", "{estate}附近{category}（{condition}）"
)

LEDGER_CLASSES: dict[str, tuple[str, ...]] = {
    "ledger_issue": ("S0201", "S0202", "S0203", "S0701", "E0101", "E0109", "E0102", "E0603", "E0405", "P0302"),
    "social_information": (
        "S0101", "S0102", "S0103", "S0301", "S0302", "S0501", "S0502", "S0601", "S0602", "S0702", "S0703",
        "S0801", "S0802", "S0803",
    ),
    "three_illegals": ("S0401", "S0402", "S0403"),
}  # fmt: skip

SIDES = ("东侧", "西侧", "南侧", "北侧", "路口")

#: What the handler writes back, by the first letter of the category: things are mended, events cleared, people helped.
RESULTS: dict[str, tuple[str, ...]] = {
    "P": ("已更换新件，恢复原状", "已修复，现场复核合格", "已设警示并维修完毕", "已协调产权单位维修"),
    "E": ("已清理干净", "已劝离，当事人表示配合", "已教育整改，现场无反弹", "已现场处置完毕", "已规范摆放"),
    "S": ("已上门走访，登记在册", "已调解，双方同意", "已协调相关单位处理", "已答复居民，表示满意"),
}
RETURN_REASONS = ("点位不在本网格，请核对", "责任单位不明确，请重新派遣", "描述位置与照片不符")
REWORK_REASONS = ("现场仍有残留，请继续处置", "照片不清，请补充处置后照片", "问题反弹，请重新处置")
SUSPEND_REASONS = ("产权单位已列入维修计划", "等待材料到货后统一施工", "需待执法程序期满", "季节原因，适宜期内补种")


def profile_of(category: str) -> Profile:
    """Return the profile of a minor class."""
    return PROFILES.get(category, RARE)
