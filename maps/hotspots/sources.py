"""Where each statistic comes from, in what unit it speaks, and what it does not mean. Pages print this. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["SOURCES", "Source", "Statistic"]


class Statistic(StrEnum):
    """The statistics there are."""

    GI_STAR = "gi_star"
    MORAN = "moran"
    LOCAL_MORAN = "local_moran"
    EMPIRICAL_BAYES = "empirical_bayes"
    EMERGING = "emerging"
    KNOX = "knox"
    FDR = "fdr"
    FINDERS = "finders"
    REPEAT_SITES = "repeat_sites"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A paper. Units: of the statistic itself."""

    citation: str
    unit: str


SOURCES: Final[dict[Statistic, Source]] = {
    Statistic.GI_STAR: Source(
        citation="Ord, J. K.; Getis, A. (1995): Local spatial autocorrelation statistics: distributional issues and an"
        " application. Geographical Analysis 27 (4), 286–306.",
        unit="standard deviations",
    ),
    Statistic.MORAN: Source(
        citation="Cliff, A. D.; Ord, J. K. (1981): Spatial processes: models and applications. Pion, London.",
        unit="none",
    ),
    Statistic.LOCAL_MORAN: Source(
        citation="Anselin, L. (1995): Local indicators of spatial association – LISA. Geographical Analysis 27 (2),"
        " 93–115.",
        unit="none",
    ),
    Statistic.EMPIRICAL_BAYES: Source(
        citation="Marshall, R. J. (1991): Mapping disease and mortality rates using empirical Bayes estimators."
        " Journal of the Royal Statistical Society C 40 (2), 283–294.",
        unit="cases per resident",
    ),
    Statistic.EMERGING: Source(
        citation="Mann, H. B. (1945): Nonparametric tests against trend. Econometrica 13 (3), 245–259; Kendall, M. G."
        " (1975): Rank correlation methods, 4th ed. Griffin, London.",
        unit="standard deviations",
    ),
    Statistic.KNOX: Source(
        citation="Knox, E. G. (1964): The detection of space-time interactions. Journal of the Royal Statistical"
        " Society C 13 (1), 25–29.",
        unit="pairs of cases",
    ),
    Statistic.FDR: Source(
        citation="Benjamini, Y.; Hochberg, Y. (1995): Controlling the false discovery rate. Journal of the Royal"
        " Statistical Society B 57 (1), 289–300.",
        unit="share of false discoveries",
    ),
    Statistic.FINDERS: Source(
        citation="Wilson, E. B. (1927): Probable inference, the law of succession, and statistical inference. Journal"
        " of the American Statistical Association 22 (158), 209–212.",
        unit="share of cases",
    ),
    Statistic.REPEAT_SITES: Source(
        citation="Sherman, L. W.; Gartin, P. R.; Buerger, M. E. (1989): Hot spots of predatory crime: routine"
        " activities and the criminology of place. Criminology 27 (1), 27–56.",
        unit="cases and days",
    ),
}
