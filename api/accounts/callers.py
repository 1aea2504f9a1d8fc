"""Who asks: a key, a person who is signed in, or somebody at this very machine."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from api.accounts.roles import Role, Scope, may_make, scopes_of
from api.accounts.sight import NOTHING, Grant, Sight
from api.audit.trail import Actor
from dispatch.belonging import Belonging
from dispatch.workflow import Line, Move
from geo.storage.uow import Viewer

__all__ = ["Caller"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Attributes
    ----------
    kind, id
        ``key`` and its prefix, ``person`` and the person's id, ``operator`` at the machine itself. They stand in the
        history of a case.
    channel
        Of a key: the channel it speaks for.
    sight
        Which cases exist for this caller.
    counted
        Of a person: which cases are counted, one by one in sight or not; None means those in sight.
    office
        Which part of the office this caller keeps: people, posts, accounts, keys and what else has an area.
    grants
        Of a person: the roles held now, each with its area.
    """

    kind: str
    id: str
    channel: str | None
    scopes: frozenset[Scope]
    sight: Sight
    counted: Sight | None = None
    office: Sight = NOTHING
    grants: tuple[Grant, ...] = ()
    account: UUID | None = None
    session: int | None = None
    login: str = ""
    name: str = ""
    must_change: bool = False
    is_demo: bool = False
    rate: str | None = None

    @property
    def sees_channel(self) -> str | None:
        """The channel whose cases this caller may see; None means all of those in sight."""
        return None if Scope.CASES_READ_ALL in self.scopes else self.channel

    @property
    def actor(self) -> Actor:
        """How the audit trail names this caller: a person by the login, which tells more than an id."""
        return Actor(kind=self.kind, id=self.login or self.id)

    @property
    def viewer(self) -> Viewer:
        """The eyes of this caller's transactions."""
        return self.sight.viewer()

    @property
    def counts_exactly(self) -> bool:
        """Whether maps and rates may give exact counts: everything that is counted could be looked at one by one."""
        return Scope.CASES_READ_ALL in self.scopes and (self.counted is None or self.sight.includes(self.counted))

    @property
    def counting_viewer(self) -> Viewer:
        """The eyes of transactions that count. Only what answers in steps unless `counts_exactly` may use them."""
        return self.viewer if self.counted is None or self.counts_exactly else self.counted.viewer()

    @property
    def office_viewer(self) -> Viewer:
        """The eyes of transactions that read and write people, posts and departments.

        Whoever looks at posts by another role than an administrator's of an area looks at all of them.
        """
        return self.office.keeping(self.viewer, sees_all=self.sees_all_posts)

    @property
    def sees_all_posts(self) -> bool:
        """Whether people and posts are in sight everywhere, or those of the areas alone that this caller keeps."""
        if self.office.is_everything or not self.office.areas:
            return True
        if self.kind != "person":
            return Scope.POSTS_WRITE not in self.scopes
        return any(grant.role is not Role.ADMINISTRATOR and _may_read_posts(grant.role) for grant in self.grants)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles held now, wherever."""
        return tuple(dict.fromkeys(grant.role for grant in self.grants))

    def roles_for(self, case: Belonging) -> tuple[Role, ...]:
        """The roles that cover a case."""
        return tuple(dict.fromkeys(grant.role for grant in self.grants if grant.area.covers(case)))

    def may_move(self, case: Belonging, move: Move, line: Line) -> bool:
        """Whether this caller makes a move on a case. A key and the operator speak for a whole desk."""
        return self.kind != "person" or may_make(self.roles_for(case), move, line)


def _may_read_posts(role: Role) -> bool:
    return Scope.POSTS_READ in scopes_of([role])
