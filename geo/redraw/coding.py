"""Codes of the cells that an operation makes, against the version's code system."""

from __future__ import annotations

from geo.codes import find_problem, get_code_system, problem_facts
from geo.errors import BadInputError
from geo.redraw.patch import Patch


def check_new_codes(patch: Patch, system_name: str) -> None:
    """Check the codes that are new.

    A cell that is only given to another parent keeps its code, which then no longer begins with its parent's: that is
    a matter of renumbering, in an act of its own (an edit of the code); until then activation asks for a reason.

    Raises
    ------
    BadInputError
        One of `geo.codes.CodeProblem`.
    """
    system = get_code_system(system_name)
    for code, cell in patch.cells.items():
        if code in patch.before:
            continue
        problem = find_problem(system, code, cell.level, cell.parent)
        if problem is not None:
            facts = problem_facts(system, code, cell.level, cell.parent)
            raise BadInputError(problem.value, pointer="/into", **facts)
