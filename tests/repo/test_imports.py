"""Two doors are narrow: the C core is reached through ``native`` modules, the engine through one module."""

import ast
from pathlib import Path

import pytest
from source_tree import ROOT, modules

PACKAGE = ROOT / "minihv"


def imported(module: Path) -> set[str]:
    """The absolute names that ``module`` imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_enters_by_the_right_door(module: Path) -> None:
    names = imported(module)
    place = module.relative_to(PACKAGE)
    if not (len(place.parts) == 2 and place.name == "native.py"):
        assert not any(name.startswith("minihv._core") for name in names), (
            "only <floor>/native.py imports the core"
        )
    if place != Path("machine", "engine.py"):
        assert not any(name.split(".")[0] == "unicorn" for name in names), (
            "only machine/engine.py imports unicorn"
        )
