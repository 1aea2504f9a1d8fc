"""docs/workflow.md, written from the workflow's table, so that the page cannot tell another story than the code."""

from __future__ import annotations

from collections import defaultdict

from dispatch.joint import ENDED, LEG_TRANSITIONS, LegState, LegTransition
from dispatch.states import FINAL_STATES, CaseState
from dispatch.workflow import STAGE_OF, TRANSITIONS, Clock, Transition

_HEAD = """\
# The life of a case

Written by `python -m dispatch.workflow_page` from `dispatch/workflow.py`; a test holds the two equal. Words are
explained in the [glossary](glossary.md).
"""

_TABLE = """\
## Every move

Clock is what happens to the handling clock H: it *runs on* through returns, it gets later only by *extend* and *pause*
(approvals that leave a record), and *renew* begins another epoch while the old one stays as it ended. The last column
says where the row comes from: S specified by the trade, D decided here.

| move | from | to | who | clock H | needs | event | source |
| --- | --- | --- | --- | --- | --- | --- | --- |"""

_LEGS = """\
## Legs of joint work

`split_joint` gives every department a leg with a clock, evidence and a sign-off of its own; the case stays *handling*
on its own clock and is not reported back before every leg is signed or withdrawn (`join`). A leg climbs the ladder
on its own clock, too: reminders go to its own handler, and overdue it comes before whoever leads the joint work.
"""

_LEG_TABLE = """\
| move | from | to | who | clock of the leg | needs | event |
| --- | --- | --- | --- | --- | --- | --- |"""

_OPEN = "any open"


def diagram() -> str:
    """State diagram in Mermaid's language; moves that leave the state as it is stand in the table only."""
    lines = ["stateDiagram-v2"]
    edges: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in TRANSITIONS:
        for source in sorted(map(str, row.sources)) or ["[*]"]:
            if row.target is not None:
                edges[source, str(row.target)].append(row.move.value)
    lines += [f"    {source} --> {target}: {', '.join(moves)}" for (source, target), moves in edges.items()]
    lines += [f"    {state} --> [*]" for state in sorted(FINAL_STATES)]
    return "\n".join(lines)


def leg_diagram() -> str:
    """State diagram of one leg."""
    lines = ["stateDiagram-v2", f"    [*] --> {LegState.DISPATCHED}: split_joint"]
    edges: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in LEG_TRANSITIONS:
        for source in sorted(row.sources):
            edges[source, row.target].append(row.move.value)
    lines += [f"    {source} --> {target}: {', '.join(moves)}" for (source, target), moves in edges.items()]
    lines += [f"    {state} --> [*]" for state in sorted(ENDED)]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    parts = [
        _HEAD,
        f"```mermaid\n{diagram()}\n```\n",
        "\n".join([_TABLE, *(_line(row) for row in TRANSITIONS)]) + "\n",
        _LEGS,
        f"```mermaid\n{leg_diagram()}\n```\n",
        "\n".join([_LEG_TABLE, *(_leg_line(row) for row in LEG_TRANSITIONS)]) + "\n",
        _stages(),
    ]
    return "\n".join(parts)


def _line(row: Transition) -> str:
    sources = _OPEN if len(row.sources) > 8 else ", ".join(sorted(row.sources)) or "–"
    needs = (["reason"] if row.needs_reason else []) + [guard.value.replace("_", " ") for guard in row.guards]
    cells = (
        f"`{row.move}`",
        sources,
        row.target.value if row.target else "same",
        ", ".join(who.value.replace("_", " ") for who in row.who),
        row.clock.value.replace("_", " ") if row.clock is not Clock.NONE else "–",
        ", ".join(needs) or "–",
        f"`{row.event}`",
        row.source.value,
    )
    return "| " + " | ".join(cells) + " |"


def _leg_line(row: LegTransition) -> str:
    needs = (["reason"] if row.needs_reason else []) + ([row.guard.value.replace("_", " ")] if row.guard else [])
    cells = (
        f"`{row.move}`",
        ", ".join(sorted(row.sources)),
        row.target.value,
        ", ".join(who.value.replace("_", " ") for who in row.who),
        row.clock.value.replace("_", " ") if row.clock is not Clock.NONE else "–",
        ", ".join(needs) or "–",
        f"`{row.event}`",
    )
    return "| " + " | ".join(cells) + " |"


def _stages() -> str:
    lines = ["## Stage clocks", "", "A step has a clock of its own while the case waits for it.", ""]
    lines += ["| state | clock | when it runs out |", "| --- | --- | --- |"]
    says = {
        CaseState.VERIFYING: "`verify_timeout`: the case goes on unverified",
        CaseState.DISPATCHED: "`no_ack`: the backup, then the parent cell's head; H runs on",
    }
    lines += [f"| {state} | {stage} | {says.get(state, 'counted as late')} |" for state, stage in STAGE_OF.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
