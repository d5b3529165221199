"""`clary env add`, `list`, `remove`: environments of frameworks, and the jobs that run in them."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.conftest import Server
from tests.scripts import Scientist

FILES = {
    "sklearn/__init__.py": "__version__ = '{version}'\n",
    "scikit_learn-{version}.dist-info/METADATA": "Metadata-Version: 2.1\nName: scikit-learn\nVersion: {version}\n",
    "scikit_learn-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "scikit_learn-{version}.dist-info/RECORD": "",
}

SERVES = """
import sklearn

def model_fn(model_dir):
    return 1

def transform_fn(*_):
    return sklearn.__version__, "x/y"
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with packages that call themselves scikit-learn 1.2.2 and 0.23.0: pip needs no network."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for version in ("1.2.2", "0.23.0"):
        with zipfile.ZipFile(folder / f"scikit_learn-{version}-py3-none-any.whl", "w") as wheel:
            for name, content in FILES.items():
                wheel.writestr(name.format(version=version), content.format(version=version))
    return folder


def requirements(tmp_path: Path, shelf: Path, version: str) -> Path:
    file = tmp_path / f"requirements-{version}.txt"
    file.write_text(f"--no-index\n--find-links {shelf}\n# old\nscikit-learn=={version}\n")
    return file


def test_a_script_runs_in_the_environment_that_is_nearest(clary, data, start_server, tmp_path, shelf):
    server: Server = start_server()
    for version in ("1.2.2", "0.23.0"):
        file = requirements(tmp_path, shelf, version)
        added = clary("env", "add", f"sklearn-{version}", "--requirements", file, "--data", server.data)
        assert added.returncode == 0, added.stderr
        assert f"sklearn-{version}: version {version}." in added.stdout
    listed = clary("env", "list", "--data", server.data).stdout
    assert [line.split()[:2] for line in listed.splitlines()] == [["sklearn-0.23.0", "0.23.0"], ["sklearn-1.2.2", "1.2.2"]]
    scientist = Scientist(server, "000000000000")
    script = "import sklearn, sys; print(sklearn.__version__, sys.prefix == sys.base_prefix, sys.argv[1:])"
    scientist.train("named", script, {"a": 1})
    assert scientist.log("named")[0].endswith(", the environment sklearn-1.2.2")
    assert scientist.log("named")[-1] == "1.2.2 False ['-a', '1']"
    endpoint = scientist.deploy("named", {"code/inference.py": SERVES})
    assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")
    assert scientist.invoke("named", "{}") == (b"1.2.2", "x/y")
    assert clary("env", "remove", "sklearn-1.2.2", "--data", server.data).returncode == 0
    scientist.train("nearest", script)
    assert scientist.log("nearest")[0].endswith("the server's own environment"), "1.9 is nearer to 1.2 than 0.23"


def test_two_that_want_one_environment_at_once_make_it_once(clary, data, tmp_path, shelf):
    file = requirements(tmp_path, shelf, "1.2.2")

    def add(name: str) -> str:
        done = clary("env", "add", name, "-r", file, "--data", data)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with ThreadPoolExecutor() as pool:
        said = list(pool.map(add, ("sklearn-a", "sklearn-b")))
    assert sum("Successfully installed scikit-learn-1.2.2" in one for one in said) == 1
    made = data / "environments" / "made"
    assert len([path for path in made.iterdir() if path.is_dir()]) == 1
    clary("env", "remove", "sklearn-a", "--data", data)
    assert any(path.is_dir() for path in made.iterdir()), "it has another name"
    clary("env", "remove", "sklearn-b", "--data", data)
    assert not any(path.is_dir() for path in made.iterdir())


def test_what_cannot_be_is_one_line(clary, data, tmp_path):
    wrong = clary("env", "add", "lightgbm", "--data", data)
    assert wrong.returncode == 2
    assert "is that of a framework" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1
    both = clary("env", "add", "sklearn", "numpy", "-r", tmp_path / "none", "--data", data)
    assert (both.returncode, both.stderr) == (2, "clary: give packages or --requirements FILE, not both\n")
    missing = clary("env", "add", "sklearn", "-r", tmp_path / "none", "--data", data)
    assert "No such file" in missing.stderr
    assert clary("env", "remove", "sklearn", "--data", data).returncode == 1
    assert "There are none" in clary("env", "list", "--data", data).stdout
    nothing = clary("env", "add", "sklearn", "no-such-package-at-all", "--data", data, PIP_NO_INDEX="1")
    assert nothing.returncode == 1
    assert nothing.stderr.splitlines()[-1].startswith("clary: pip could not install")
