"""Assembly: the text of an image reads back to it; any other text is refused with the line."""

import random
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.program.assembly import print_image
from compiler.program.assembly_parser import parse_image
from compiler.program.image import Image
from compiler.program.instructions import Instruction
from compiler.program.syntax import TEMPLATES, format_instruction, parse_instruction
from runtime.testing.images import any_images, any_instructions

SLOW = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(image=any_images())
@SLOW
def test_the_text_of_an_image_reads_back(image: Image) -> None:
    text = print_image(image)
    again = parse_image(text)
    assert again == image
    assert print_image(again) == text


@given(instruction=any_instructions())
@settings(deadline=None, max_examples=300)
def test_a_line_reads_back(instruction: Instruction) -> None:
    line = format_instruction(instruction)
    assert "\n" not in line
    again = parse_instruction(line)
    assert again == instruction
    assert format_instruction(again) == line


def test_every_instruction_has_a_template() -> None:
    assert set(TEMPLATES) == set(Instruction.__args__)


@given(image=any_images(), seed=st.integers(0, 1000))
@SLOW
def test_changed_text_is_read_or_refused_with_a_diagnostic(image: Image, seed: int) -> None:
    lines = print_image(image).split("\n")
    generator = random.Random(seed)
    index = generator.randrange(len(lines))
    line = lines[index]
    at = generator.randrange(len(line) + 1)
    lines[index : index + 1] = generator.choice(
        ([], [line, line], [line[:at]], [line[:at] + generator.choice('09xi[]"|;-% ') + line[at + 1 :]])
    )
    with suppress(DiagnosticError):
        parse_image("\n".join(lines))


@pytest.mark.parametrize("text", ["", "\n", "image", 'image "x"', 'image "\\q"', "|", 'image "x"\nmachine\n| ='])
def test_fragments_are_refused(text: str) -> None:
    with pytest.raises(DiagnosticError):
        parse_image(text)
