"""The wheel holds all it needs: built, installed into an empty environment outside the repository, and run there."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(300)


def test_the_demo_runs_from_an_installed_wheel_outside_the_repository(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        ROOT / "constraints.txt",
        f"{wheel}[embedded]",
    ]
    subprocess.run(install, check=True, capture_output=True)
    look = "from m10actors.shipped import shipped; print(shipped('config/m10.toml'), shipped('schema/0001_roles.sql'))"
    found = subprocess.run(
        [python, "-c", look], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert all(path.startswith(str(tmp_path / "env")) for path in found)
    command = [tmp_path / "env" / "bin" / "m10", "demo", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["balanced"] is True
