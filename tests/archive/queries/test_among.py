"""Lists of any length become few different statements, and find the same."""

import pytest
import sqlalchemy as sa

from lem.archive.queries.among import among
from lem.archive.schema import CONFIG


def parameters(values: list[int]) -> list[int]:
    compiled = among(CONFIG.c.id, values).compile(compile_kwargs={"render_postcompile": True})
    return list(compiled.params.values())


@pytest.mark.parametrize(
    ("n", "size"), [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8), (8, 8), (33, 64), (64, 64), (65, 65)]
)
def test_a_list_has_a_power_of_two_of_parameters_and_no_other_values(n: int, size: int) -> None:
    found = parameters(list(range(n)))
    assert len(found) == size and set(found) == set(range(n))


@pytest.mark.parametrize("wanted", [[], [2], [1, 3, 2], [4, 1, 1, 9, 2]])
def test_what_is_found_is_what_in_finds(wanted: list[int]) -> None:
    engine = sa.create_engine("sqlite://")
    metadata = sa.MetaData()
    table = sa.Table("t", metadata, sa.Column("a", sa.Integer), sa.Column("b", sa.Text))
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"a": i, "b": str(i)} for i in range(5)])
        pairs = [(i, str(i)) for i in wanted]
        for padded, plain in (
            (among(table.c.a, wanted), table.c.a.in_(wanted)),
            (
                among(sa.tuple_(table.c.a, table.c.b), pairs),
                sa.tuple_(table.c.a, table.c.b).in_(pairs),
            ),
        ):
            one = connection.execute(sa.select(table).where(padded)).all()
            assert one == connection.execute(sa.select(table).where(plain)).all()
