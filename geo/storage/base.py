"""The one declarative base, so that every floor's tables share one metadata and one naming of constraints."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

# Constraint names are part of the interface: storage translates driver errors by them, so they must be predictable.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables. Each floor keeps its own in its own PostgreSQL schema (`geo`, `dispatch`, `api`)."""

    metadata = MetaData(naming_convention=NAMING)
