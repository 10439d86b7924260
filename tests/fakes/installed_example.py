"""The admission test of the documentation, installed as an installer would do it."""

import shutil
import tomllib
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "admission-test"
NAME = "exclusive-core.1"


def install_example(target: Path) -> Path:
    """Lay the package down in a directory, for PYTHONPATH: what a wheel of it would unpack to."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copy(EXAMPLE / "exclusive_core.py", target)
    name, version = project["name"].replace("-", "_"), project["version"]
    information = target / f"{name}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    )
    points = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("\n".join(points))
    return target


def install_test(
    target: Path, name: str, point: str, source: str, *, distribution: str = "plant_test"
) -> None:
    """Lay down a module with a test, ``point`` being "module:object"."""
    (target / f"{point.partition(':')[0]}.py").write_text(source)
    information = target / f"{distribution}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
    )
    (information / "entry_points.txt").write_text(f"[k40s.admission_tests]\n{name} = {point}\n")
