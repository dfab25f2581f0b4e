"""Variables and tables: what the checks and the proof of tokens say of them, against running the threads."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.numerics import DType
from compiler.numerics.masks import TileMask
from compiler.program.assembly import parse_image, print_image
from compiler.program.check import check_image, violations
from compiler.program.control import OutOfValuesError, run_code
from compiler.program.image import Code, DramPlace, Role, ShardPlace, Tensor
from compiler.program.instructions import VARIABLES, Affine, End, Fetch, Instruction, Loop, Reserve, SemWait, Variable
from compiler.program.pages import owner_numbers, scopes, span_of, stored_pages, values_of
from compiler.program.serialize import dump, load
from compiler.program.tokens import check_tokens
from runtime.testing.sample_image import with_routes
from runtime.testing.table_image import table_image, table_text

_TEXT = table_text().replace(" ; #0", "")


def test_the_image_is_sound_and_reads_back() -> None:
    image = table_image()
    check_image(image)
    check_tokens(image)
    assert parse_image(print_image(image)) == image
    assert load(dump(image)) == image


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("| 5 0 3", "| 5 0", "more values of table1 are fetched than the 2 it has"),
        ("| 5 0 3", "| 5 0 3 2", "3 values of table1 are fetched, of 4"),
        ("| 2 0 1", "| 2 0 2", "more values of table1 are fetched than the 3 it has"),
        ("| 2 0 1", "| 2 -1 2", "-1 to 2 iterations"),
        (
            "| 2 0 1\n    loop 3\n      fetch v2",
            "| 3 0 0\n    loop 3\n      fetch v2",
            "0 to 3 pages of a cb that holds 2",
        ),
        ("| 5 0 3", "| 5 0 6", "the page of t0 takes values from 0 to 6, allowed are 0 to 5"),
        ("| 5 0 3", "| 5 -1 3", "takes values from -1 to 5"),
        (
            "| 3 1 0 2 5\n    loop 5\n      fetch v15",
            "| 3 1 4 2 5\n    loop 5\n      fetch v15",
            "page 4 of t1 does not live",
        ),
        ("fetch v1, table1", "fetch v1, table2", "there is no table2"),
        ("fetch v1, table1", "fetch v16, table1", "there is no variable v16"),
        ("t0[v1]", "t0[v99]", "there is no variable v99"),
        ("cb0[i1]", "cb0[i1 + v2]", "the page of cb0 takes values from"),
        ("wait cb0 v2", "wait cb0 v2\n      probe v2, cb0[0]", "the number of pages depends on a probed page"),
        (
            "await t2[v0]",
            "probe v0, cb0[0]\n      await t2[v0]",
            "the page that is awaited depends on a probed page",
        ),
        ("live [2, 3]:b4\ntensor t1", "live [3, 2]:b4\ntensor t1", "the pages that live are not marked over [2, 3]"),
        ("live [2, 3]:b4\ntensor t1", "live [2, 3]:b400\ntensor t1", "the pages that live are not marked over [2, 3]"),
        ("[[5, 0, 3], [2]]", "[[5, 0, 3], [1]]", "each of the 4 that live goes to one owner"),
        ("[[5, 0, 3], [2]]", "[[5, 0, 3, 2], []]", "an owner is dealt no page"),
        ("[[5, 0, 3], [2]]", "[[5, 0, 3, 2]]", "1 blocks need as many distinct owners"),
        ("[[5, 0, 3], [2]]", "[[5, 0], [2, 3]]", "is not a shard of 2 pages"),
        ("ways []", "ways [1, 1]", "cut in ways [1, 1] as well"),
        ('stream "y"', 'stream "y" checked', "checked for a promise that is not made"),
        ("kernel0(cb0[i1])", "kernel0(cb0[i1]) zeros [1]", "zeros are looked for in operands [1], of 1"),
    ],
)
def test_each_broken_rule_is_named(old: str, new: str, message: str) -> None:
    assert old in _TEXT
    image = parse_image(_TEXT.replace(old, new, 1))
    found = list(violations(with_routes(image)))
    assert any(message in violation for violation in found), found


def test_a_route_is_due_for_every_page_of_a_table_and_for_no_other() -> None:
    text = print_image(table_image())
    image = table_image()
    channels, core = image.machine.dram.channels, image.machine.cores[1]
    lines = text.split("\n")
    for channel, coord in enumerate(channels):
        route = f"route noc0 {core.x},{core.y} -> {coord.x},{coord.y}:"
        kept = [line for line in lines if not line.startswith(route)]
        assert len(kept) < len(lines)
        found = list(violations(parse_image("\n".join(kept))))
        assert bool(found) == (channel == 2 % len(channels)), (channel, found)


def test_tables_count_against_the_room_for_programs() -> None:
    image = table_image()
    program = image.epochs[0].programs[0]
    instructions = sum(len(code.instructions) for code in (program.read, program.compute, program.write))
    assert program.room == instructions + 2
    small = replace(image, machine=replace(image.machine, program_instructions=instructions + 1))
    assert any(f"{instructions + 2} instructions; a core has room" in text for text in violations(small))


def test_a_constant_is_zero_where_it_does_not_live() -> None:
    image = table_image()
    live = TileMask.of(np.array([[True, False]]))
    values = np.zeros((32, 64), np.float32)
    values[3, 4] = 1
    constant = replace(image.tensors[0], name="c", dtype=DType.F32, shape=(32, 64), role=Role.CONSTANT, live=live)
    for column, sound in ((4, True), (40, False)):
        values[:] = 0
        values[3, column], values[0, 50] = 1, -0.0
        place = replace(constant, place=DramPlace(0x8000), data=values.tobytes())
        found = list(violations(replace(image, tensors=(*image.tensors, place))))
        assert bool(found) != sound
        assert sound or "page 1 is said not to live and is not zero" in found[0]


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("| 2 0 1\n    loop 3\n      fetch v2", "| 2 0 0\n    loop 3\n      fetch v2", "E0512", "`wait cb1 1`: cb1"),
        (
            "| 3 1 0 2 5\n    loop 5\n      fetch v0",
            "| 3 1 0 2\n    loop 4\n      fetch v0",
            "E0512",
            "cb0 (`h`) holds 0",
        ),
        ("set0, s[4] += 1", "set0, s[6] += 1", "E0512", "semaphore 4 is 0, and 3 is needed"),
    ],
)
def test_tables_that_block_are_named(old: str, new: str, code: str, message: str) -> None:
    assert old in _TEXT
    with pytest.raises(DiagnosticError) as error:
        check_tokens(parse_image(_TEXT.replace(old, new, 1)))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == code
    assert any(message in note for note in diagnostic.notes), diagnostic


def test_equal_code_with_other_tables_is_unrolled_anew() -> None:
    text = _TEXT.replace("| 0 1 0\n    loop 3\n      fetch v2", "| 0 0 0\n    loop 3\n      fetch v2")
    with pytest.raises(DiagnosticError):
        check_tokens(parse_image(text))


@st.composite
def _codes(draw: st.DrawFn) -> Code:
    """Nested loops, fetches and instructions that use what was fetched."""
    tables = draw(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=1, max_size=2))
    code = draw(_bodies(len(tables), 0))
    return Code(tuple(code), (), tuple(map(tuple, tables)))


@st.composite
def _bodies(draw: st.DrawFn, tables: int, depth: int) -> list[Instruction]:
    body: list[Instruction] = []
    variables = st.integers(0, 2)
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(("fetch", "use", "loop") if depth < 2 else ("fetch", "use")))
        if kind == "fetch":
            body.append(Fetch(draw(variables), draw(st.integers(0, tables - 1))))
        elif kind == "use":
            coefficients = tuple(draw(st.lists(st.integers(1, 3), max_size=depth)))
            body.append(SemWait(Affine(draw(st.integers(0, 4)), coefficients, draw(variables)), 1))
            body.append(Reserve(0, Variable(draw(variables))))
        else:
            count = draw(st.integers(1, 3) | st.builds(Variable, variables))
            body += [Loop(count), *draw(_bodies(tables, depth + 1)), End()]
    return body


class _Thread:
    """Runs a thread one instruction after the other, and notes the values that are used."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.cursors = [0] * len(code.tables)
        self.variables = [0] * VARIABLES
        self.taken: dict[int, list[int]] = {}

    def run(self) -> bool:
        """Whether the tables had enough values."""
        at, loops = 0, list[list[int]]()
        while at < len(self.code.instructions):
            instruction = self.code.instructions[at]
            if isinstance(instruction, Fetch):
                if self.cursors[instruction.table] == len(self.code.tables[instruction.table]):
                    return False
                self.variables[instruction.variable] = self.code.tables[instruction.table][
                    self.cursors[instruction.table]
                ]
                self.cursors[instruction.table] += 1
            elif isinstance(instruction, Loop):
                count = instruction.count
                times = self.variables[count.index] if isinstance(count, Variable) else count
                if times == 0:
                    at = self.behind(at)
                    continue
                loops.append([at, 0, times])
            elif isinstance(instruction, End):
                loops[-1][1] += 1
                if loops[-1][1] < loops[-1][2]:
                    at = loops[-1][0]
                else:
                    loops.pop()
            else:
                self.note(at, instruction, [turn for _, turn, _ in loops])
            at += 1
        return True

    def behind(self, at: int) -> int:
        depth = 0
        for index in range(at, len(self.code.instructions)):
            depth += isinstance(self.code.instructions[index], Loop) - isinstance(self.code.instructions[index], End)
            if depth == 0:
                return index + 1
        raise AssertionError

    def note(self, at: int, instruction: Instruction, counters: Sequence[int]) -> None:
        assert isinstance(instruction, SemWait | Reserve)
        if isinstance(instruction, Reserve):
            assert isinstance(instruction.pages, Variable)
            value = self.variables[instruction.pages.index]
        else:
            affine = instruction.semaphore
            value = affine.constant + self.variables[affine.variable]
            value += sum(c * n for c, n in zip(affine.coefficients, counters, strict=False))
        self.taken.setdefault(at, []).append(value)


@given(code=_codes())
@settings(deadline=None, max_examples=200)
def test_threads_run_as_an_interpreter_runs_them(code: Code) -> None:
    thread = _Thread(code)
    complete = thread.run()
    reached: dict[int, int] = {}

    def visit(at: int) -> None:
        reached[at] = reached.get(at, 0) + 1

    used = [at for at, instruction in enumerate(code.instructions) if isinstance(instruction, SemWait | Reserve)]
    visits = {at: (lambda _, __, at=at: visit(at)) for at in used}
    try:
        fetched = run_code(code, visits)
    except OutOfValuesError:
        assert not complete
        return
    assert complete
    assert list(fetched) == thread.cursors
    assert reached == {at: len(values) for at, values in thread.taken.items()}


@given(code=_codes())
@settings(deadline=None, max_examples=200)
def test_what_an_offset_may_be_covers_what_it_is(code: Code) -> None:
    thread = _Thread(code)
    thread.run()
    for at, instruction, scope in scopes(code):
        if isinstance(instruction, SemWait):
            values = values_of(instruction.semaphore, scope).tolist()
            span = span_of(instruction.semaphore, scope)
            assert (values[0], values[-1]) == (span.least, span.greatest)
        elif isinstance(instruction, Reserve):
            values = scope.amounts(instruction.pages).tolist()
        else:
            continue
        assert set(thread.taken.get(at, ())) <= set(values)


def test_a_variable_holds_what_was_put_into_it_last() -> None:
    fetch, use = Fetch(1, 0), Reserve(0, Variable(1))
    for body, values in (
        ((fetch, use), [4, 7]),
        ((use, fetch), [0]),
        ((Loop(2), use, fetch, End()), [0, 4, 7]),
        ((Loop(2), fetch, End(), use), [4, 7]),
        ((Fetch(0, 0), Loop(Variable(0)), fetch, End(), use), [0, 4, 7]),
    ):
        code = Code(body, (), ((4, 7),))
        found = [scope.amounts(Variable(1)).tolist() for _, instruction, scope in scopes(code) if instruction is use]
        assert found == [values]


@given(data=st.data(), owners=st.integers(1, 4))
@settings(deadline=None, max_examples=50)
def test_owners_of_dealt_pages(data: st.DataObject, owners: int) -> None:
    live = data.draw(st.lists(st.booleans(), min_size=12, max_size=12))
    held = data.draw(st.permutations([page for page in range(12) if live[page]]))
    pages = tuple(tuple(held[owner::owners]) for owner in range(owners))
    place = ShardPlace(0, (), tuple(range(owners)), 0, 0, pages)
    mask = TileMask.of(np.array(live).reshape(3, 4))
    tensor = Tensor("h", DType.BF16, (96, 128), Role.TEMPORARY, place, live=mask)
    found, inside = owner_numbers(tensor, place, np.arange(12)) if held else np.full((2, 12), -1)
    for page in range(12):
        expected = next(((o, p.index(page)) for o, p in enumerate(pages) if page in p), (-1, -1))
        assert (found[page], inside[page]) == expected
    assert stored_pages(tensor, np.arange(12)).tolist() == sorted(held)
