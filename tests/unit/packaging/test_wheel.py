"""What an installation gets."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[3]
PACKAGES = ("compiler", "emulator", "grammar", "runtime")
DATA = {
    *(f"{package}/py.typed" for package in PACKAGES),
    "grammar/errors.md",
    "grammar/mesh.lark",
    "grammar/mesh.tables.json",
    "grammar/mesh.tmLanguage.json",
    "grammar/std.mesh",
    "compiler/target/presets/mesh_4x4.toml",
    "compiler/target/presets/wormhole_n150.toml",
    *(str(path.relative_to(ROOT)) for path in (ROOT / "runtime" / "view" / "assets").iterdir()),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return ZipFile(path)


def test_holds_every_module_and_the_data_files_and_nothing_else(wheel: ZipFile) -> None:
    modules = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert found == modules | DATA


def test_installs_the_command(wheel: ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    assert wheel.read(entry_points).decode() == "[console_scripts]\nmeshc = runtime.cli:main\n"


def test_can_be_built_twice_to_the_same_bytes(wheel: ZipFile, tmp_path: Path) -> None:
    (again,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    assert wheel.filename is not None
    assert Path(again).read_bytes() == Path(wheel.filename).read_bytes()
