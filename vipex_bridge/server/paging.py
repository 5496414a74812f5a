"""Pages of a listing: what comes after the last one seen, however much has been added before it since."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

MOST_ON_A_PAGE = 200
Limit = Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE, description="how many at the most", examples=[50])]
Cursor = Annotated[
    str | None,
    Query(
        pattern=r"^before-[0-9]{1,17}$",
        description="`next` of the page before, as it was given",
        examples=["before-1042"],
    ),
]
Moment = Annotated[
    float | None, Query(ge=0, le=32503680000, description="epoch seconds", examples=[1795409430])
]


def a_number(value: object) -> object:
    """For a number in a JSON body: pydantic would take true and "1" for one as well."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("give a number")  # noqa: TRY004 -- what pydantic tells as a fault
    return value


def before(cursor: str | None) -> int | None:
    """The id that the next page's are below."""
    if cursor is None:
        return None
    return int(cursor.removeprefix("before-"))


def after(ids: list[int], limit: int) -> str | None:
    """The cursor of the next page; None when there is none."""
    return f"before-{ids[-1]}" if len(ids) == limit else None
