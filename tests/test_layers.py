"""Imports point one way, names are published on purpose, and importing the package stays light."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import microcalc

ROOT = Path(microcalc.__file__).parent
LAYERS = {
    "errors": 0, "vocabulary": 0, "protocol": 0,
    "cohort": 1, "predictions": 1,
    "intake": 2, "learn": 2, "stats": 2,
    "report": 3,
    "study": 4, "reader": 4,
    "cli": 5,
}  # fmt: skip
APART = {"intake", "learn", "stats"}
ROOMS = {"": 0, "objects": 1, "pacs": 2, "store": 3, "room": 4, "web": 5}
"""Of the reader, in the same order; "" is what lies in its folder itself."""


def room(name: str) -> str:
    return name.split(".")[1] if name.count(".") else ""


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "microcalc":
            names.add(node.module if node.module != "microcalc" else f"microcalc.{node.names[0].name}")
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names if a.name.split(".")[0] == "microcalc"}
    return names


def modules() -> list[tuple[str, Path]]:
    return [
        (".".join(("microcalc", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"), path)
        for path in ROOT.rglob("*.py")
    ]


def test_no_module_imports_from_a_layer_to_its_right():
    for name, path in modules():
        for imported in imports_of(path):
            here, there = room(name), room(imported)
            if not here or there not in LAYERS or here == there:
                continue
            assert LAYERS[there] <= LAYERS[here], f"{name} imports {imported}"
            assert not {here, there} <= APART, f"{name} and {imported} should not know each other"


def test_the_rooms_of_the_reader_do_not_look_back():
    def place(name: str) -> int:
        parts = name.split(".")
        return ROOMS[parts[2] if len(parts) > 2 and (ROOT / "reader" / parts[2]).is_dir() else ""]

    seen = [
        (name, imported)
        for name, path in modules()
        if name.startswith("microcalc.reader.")
        for imported in imports_of(path)
        if imported.startswith("microcalc.reader")
    ]
    assert {place(name) for name, _ in seen} == set(ROOMS.values())
    assert [(name, imported) for name, imported in seen if place(imported) > place(name)] == []


def test_no_two_modules_import_each_other():
    packages = {name for name, path in modules() if path.name == "__init__.py"}
    graph = {name: imports_of(path) - packages for name, path in modules() if name not in packages}
    done, on_the_way = set(), []

    def visit(name: str) -> None:
        assert name not in on_the_way, f"cycle: {' -> '.join([*on_the_way, name])}"
        if name in done or name not in graph:
            return
        on_the_way.append(name)
        for imported in sorted(graph[name]):
            visit(imported)
        done.add(on_the_way.pop())

    for name in graph:
        visit(name)


def test_every_published_name_exists_and_every_module_publishes():
    for info in pkgutil.walk_packages(microcalc.__path__, "microcalc."):
        module = importlib.import_module(info.name)
        assert hasattr(module, "__all__"), f"{info.name} has no __all__"
        for name in module.__all__:
            assert hasattr(module, name), f"{info.name} lacks {name}"


def test_every_module_says_what_lives_in_it():
    for name, path in modules():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, f"{name} has no docstring"
        assert len(text) > 40, f"{name} says too little"


def test_importing_the_package_and_the_command_line_brings_no_torch():
    heavy = ("torch", "timm", "matplotlib.pyplot")
    code = f"import sys, microcalc, microcalc.cli; print(sorted(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
