"""The weights commands: they parse, call, print, and end with the files that they made."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hub_server import running_hub
from microcalc.cli import weights as command
from microcalc.cli.weights import app
from microcalc.errors import MissingDependencyError, ProtocolError, WeightsError
from microcalc.learn.weights import weight_path
from weight_files import folder_with, shapes_of, write_hollow

NET = "densenet201"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MICROCALC_WEIGHTS", str(tmp_path / "installed"))
    return tmp_path / "installed"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_list_says_what_is_missing_and_the_way_out(folder):
    result = run("list")
    assert result.exit_code == 0
    assert "xception             legacy_xception.tf_in1k      missing" in result.output.splitlines()
    assert f"Folder: {folder}" in result.output
    assert "microcalc weights fetch --out DIR" in result.output


def test_import_then_list_and_verify(folder, tmp_path):
    result = run("import", folder_with(tmp_path / "carried", NET))
    assert result.exit_code == 0, result.output
    assert "densenet201: checked and installed" in result.output
    assert f"xception: not in {tmp_path / 'carried'}" in result.output
    assert result.output.splitlines()[-1] == f"Installed in: {folder}"
    listed = next(line for line in run("list").output.splitlines() if line.startswith(NET))
    assert "installed" in listed
    assert "77.4 MB" in listed
    assert run("verify").output.splitlines()[-1] == "Every installed file is whole."


def test_verify_fails_where_nothing_is_installed(folder):
    result = run("verify")
    assert isinstance(result.exception, WeightsError)
    assert "must hold weights; it has none" in str(result.exception)


def test_verify_fails_on_a_damaged_file(folder, tmp_path):
    run("import", folder_with(tmp_path / "carried", NET))
    with weight_path(folder, NET).open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"\x01")
    result = run("verify")
    assert isinstance(result.exception, WeightsError)
    assert result.exception.exit_code == 3
    assert "is damaged" in str(result.exception)
    assert "damaged" in result.output


def test_import_of_a_folder_without_weights_is_an_error(folder, tmp_path):
    result = run("import", tmp_path)
    assert isinstance(result.exception, WeightsError)
    assert not folder.exists()


def test_fetch_names_the_folder_and_the_next_step(tmp_path, monkeypatch):
    out = tmp_path / "out"
    with running_hub() as hub:
        hub.add_model("densenet201.tv_in1k", write_hollow(tmp_path / "file", shapes_of(NET)))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        result = run("fetch", "--out", out, "--networks", NET)
        assert result.exit_code == 0, result.exception
        again = run("fetch", "--out", out, "--networks", f" {NET} ,")
    assert "densenet201: fetching densenet201.tv_in1k" in result.output
    assert f"Made: {out} (1 fetched, 0 kept)" in result.output
    assert result.output.splitlines()[-1].endswith(f"microcalc weights import {out}")
    assert "densenet201: complete already, kept" in again.output


@pytest.mark.parametrize(("networks", "text"), [(",", "must name at least one"), ("vgg16", "got 'vgg16'")])
def test_networks_must_be_known(tmp_path, networks, text):
    result = run("fetch", "--out", tmp_path / "out", "--networks", networks)
    assert isinstance(result.exception, ProtocolError)
    assert text in str(result.exception)


def test_without_the_training_packages_the_error_holds_the_install_line(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name="torch")

    monkeypatch.setattr(command.importlib, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"torch is not installed.*pip install 'microcalc\[train\]'"):
        command._learn("weights")


def test_the_commands_are_there_without_torch():
    code = "import sys, microcalc.cli.weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
