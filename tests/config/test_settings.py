"""The settings: safe by default, and what is missing or wrong is one sentence that says what to set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET_KEY = "only-for-tests-" + "abcdefghij" * 5

Outcome = tuple[int, str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the settings without anybody's .env or database; the applications are those of this checkout."""
    shutil.copy(ROOT / "manage.py", tmp_path)
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def check(project: Path, *words: str, **variables: str) -> Outcome:
    """`manage.py check` in an environment that holds only these variables: its exit code and all that it said."""
    result = subprocess.run(
        [sys.executable, "manage.py", "check", *words],
        cwd=project,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stdout + result.stderr
    return result.returncode, (result.stdout + result.stderr).strip()


def good() -> dict[str, str]:
    return {"SECRET_KEY": SECRET_KEY, "ENCRYPTION_KEYS": Fernet.generate_key().decode()}


class TestSecrets:
    def test_without_a_secret_key_it_does_not_start(self, project: Path) -> None:
        assert check(project) == (
            1,
            "The settings are not complete: set SECRET_KEY in the environment or in .env "
            "(a long random text, the same on every machine); `make setup` writes one for you.",
        )

    def test_without_encryption_keys_it_does_not_start(self, project: Path) -> None:
        assert check(project, SECRET_KEY=SECRET_KEY) == (
            1,
            "The settings are not complete: set ENCRYPTION_KEYS in the environment or in .env "
            "(one or more Fernet keys, comma-separated, newest first); `make setup` writes one for you.",
        )

    @pytest.mark.parametrize("keys", ["abc", "é", f"{Fernet.generate_key().decode()[:-1]}"], ids=["short", "é", "cut"])
    def test_a_key_that_is_none(self, project: Path, keys: str) -> None:
        assert check(project, SECRET_KEY=SECRET_KEY, ENCRYPTION_KEYS=keys) == (
            1,
            "The settings are not complete: ENCRYPTION_KEYS holds a key that is not a Fernet key "
            "(32 bytes, url-safe base64, 44 characters). Make one with: "
            "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
        )

    def test_only_commas(self, project: Path) -> None:
        assert check(project, SECRET_KEY=SECRET_KEY, ENCRYPTION_KEYS=", ,") == (
            1,
            "The settings are not complete: ENCRYPTION_KEYS holds no key.",
        )

    def test_several_keys(self, project: Path) -> None:
        keys = ", ".join(Fernet.generate_key().decode() for _ in range(2))
        assert check(project, SECRET_KEY=SECRET_KEY, ENCRYPTION_KEYS=keys)[0] == 0

    def test_they_may_stand_in_the_env_file(self, project: Path) -> None:
        (project / ".env").write_text("".join(f"{name}={value}\n" for name, value in good().items()))
        assert check(project)[0] == 0
        assert check(project, SECRET_KEY="", ENCRYPTION_KEYS="")[0] == 1  # what is set already wins

    def test_debug_needs_none(self, project: Path) -> None:
        assert check(project, DEBUG="1")[0] == 0


class TestValues:
    @pytest.mark.parametrize(
        ("variable", "value", "sentence"),
        [
            ("SENDER_SLOTS", "many", "SENDER_SLOTS cannot be read (invalid literal for int() with base 10: 'many')."),
            (
                "DATABASE_URL",
                "nonsense",
                "DATABASE_URL cannot be read. Write it as postgres://user:password@host:5432/name.",
            ),
            ("LOG_LEVEL", "loud", "LOG_LEVEL is one of DEBUG, INFO, WARNING, ERROR, CRITICAL."),
        ],
    )
    def test_one_that_cannot_be_read(self, project: Path, variable: str, value: str, sentence: str) -> None:
        code, said = check(project, **{**good(), variable: value})
        assert (code, said.splitlines()[-1]) == (1, f"The settings are not complete: {sentence}")


class TestProduction:
    def test_the_deployment_check_is_clean(self, project: Path) -> None:
        assert check(
            project, "--deploy", "--fail-level", "WARNING", ALLOWED_HOSTS="loyalty.example", BEHIND_PROXY="1", **good()
        ) == (0, "System check identified no issues (0 silenced).")

    def test_a_weak_secret_key_is_told(self, project: Path) -> None:
        code, said = check(
            project,
            "--deploy",
            "--fail-level",
            "WARNING",
            ALLOWED_HOSTS="loyalty.example",
            **good() | {"SECRET_KEY": "x"},
        )
        assert code == 1
        assert "security.W009" in said
