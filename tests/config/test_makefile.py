"""`make` on a newcomer's machine: whatever Python it finds, or does not find."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MAKE = shutil.which("make") or "make"
BASE_PYTHON = os.path.realpath(sys.executable)
OLD = '#!/bin/sh\ncase "$2" in *print*) echo 3.9;; *) exit 1;; esac\n'
WITHOUT_VENV = '#!/bin/sh\ncase "$2" in *print*) echo 3.12;; *ensurepip*) exit 1;; esac\n'
BROKEN = "#!/bin/sh\necho 'No such version.' >&2\nexit 127\n"  # as the shims of pyenv are


class Machine:
    """A checkout with nothing but what `make venv` reads, and a PATH with nothing but a shell."""

    def __init__(self, place: Path) -> None:
        self.checkout = place / "checkout"
        self.bin = place / "bin"
        self.bin.mkdir()
        (self.checkout / "config").mkdir(parents=True)
        for name in ("sh", "echo"):
            (self.bin / name).symlink_to(f"/bin/{name}")
        for name in ("Makefile", "config/venv.sh", "config/own_venv.py"):
            shutil.copy(ROOT / name, self.checkout / name)
        self.requirements = self.checkout / "requirements.txt"
        self.requirements.write_text("# nothing\n")

    def has(self, name: str, program: str) -> None:
        """A program on PATH."""
        (self.bin / name).write_text(program)
        (self.bin / name).chmod(0o755)

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {"PATH": str(self.bin), "HOME": str(self.checkout), "LANG": "C.UTF-8"}
        return subprocess.Popen([MAKE, *words], cwd=self.checkout, env=environment, text=True, stdout=PIPE, stderr=PIPE)

    def make(self, *words: str) -> tuple[int, str, str]:
        """Status, and what was written to standard output and to standard error before make's own words."""
        process = self.start(*words)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, "".join(x for x in errors.splitlines(True) if not x.startswith("make"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


class TestPython:
    def test_none(self, machine: Machine) -> None:
        assert machine.make("demo") == (
            2,
            "",
            "No Python was found, 3.11 or newer is needed: install one (Debian, Ubuntu: apt install python3 python3-venv) "
            "and run make again.\n",
        )

    def test_too_old(self, machine: Machine) -> None:
        machine.has("python3", OLD)
        assert machine.make("setup") == (
            2,
            "",
            "Python 3.9 is too old, 3.11 or newer is needed: install one and run make again, "
            "or name it: make PYTHON=/path/to/python3.11\n",
        )

    def test_without_its_venv_module(self, machine: Machine) -> None:
        machine.has("python3.12", WITHOUT_VENV)
        machine.has("python3", OLD)
        assert machine.make("test") == (
            2,
            "",
            "Python 3.12 lacks its venv module: install it (Debian, Ubuntu: apt install python3.12-venv) "
            "and run make again.\n",
        )

    def test_a_named_one_that_does_not_run(self, machine: Machine) -> None:
        machine.has("python3", OLD)
        assert machine.make("demo", "PYTHON=/nowhere/python") == (
            2,
            "",
            "/nowhere/python does not run: name a Python 3.11 or newer, or leave PYTHON out and let make find one.\n",
        )

    def test_the_first_that_will_do(self, machine: Machine) -> None:
        machine.has("python3.14", BROKEN)
        machine.has("python3.13", WITHOUT_VENV)
        machine.has("python3.12", f'#!/bin/sh\nexec "{BASE_PYTHON}" "$@"\n')
        status, output, errors = machine.make("venv")
        assert (status, errors) == (0, "")
        assert output.startswith("Installing requirements.txt into .venv")
        assert (machine.checkout / ".venv/bin/python").exists()


class TestVenv:
    def test_is_made_once_and_again_when_the_requirements_change(self, machine: Machine) -> None:
        both = [machine.start("venv", f"PYTHON={BASE_PYTHON}") for _ in range(2)]  # at once, in one checkout
        outputs = [process.communicate(timeout=120)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        assert sum("Installing" in output for output in outputs) == 1
        assert machine.make("venv") == (0, "", "")  # no Python on PATH: that of .venv will do
        machine.requirements.write_text("# nothing either\n")
        assert "Installing" in machine.make("venv")[1]

    def test_is_mended_after_an_interruption(self, machine: Machine) -> None:
        (machine.checkout / ".venv/bin").mkdir(parents=True)
        (machine.checkout / ".venv/bin/python").symlink_to("/nowhere/python3")
        assert machine.make("venv", f"PYTHON={BASE_PYTHON}")[0] == 0
        assert subprocess.run([machine.checkout / ".venv/bin/python", "-c", "import pip"]).returncode == 0

    def test_says_when_the_packages_cannot_be_installed(self, machine: Machine) -> None:
        machine.requirements.write_text("./nowhere\n")
        status, _, errors = machine.make("venv", f"PYTHON={BASE_PYTHON}")
        assert status == 2
        assert "Traceback" not in errors
        assert errors.endswith("Setting up .venv failed (see above, status 1): once that is mended, run make again.\n")


class TestHelp:
    def test_is_what_make_alone_does(self, machine: Machine) -> None:
        status, output, errors = machine.make()
        assert (status, errors) == (0, "")
        assert [line.split()[1] for line in output.splitlines()] == [
            *("demo", "test", "soak", "bench", "setup", "run", "lint", "screenshots", "pins", "clean"),
        ]
