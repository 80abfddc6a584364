"""The first .env: secrets of its own, whole, and never over another one."""

import stat
from pathlib import Path

import environ
import pytest
from cryptography.fernet import Fernet

from config import first_env


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in first_env.NEEDED:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def read(place: Path) -> dict[str, str]:
    lines = [line for line in place.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


class TestWrite:
    def test_writes_secrets_that_only_the_owner_reads(self, place: Path) -> None:
        assert first_env.write(place) == "Wrote .env with new secrets, for use on this machine."
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        written = read(place)
        Fernet(written.pop("ENCRYPTION_KEYS"))
        assert len(written.pop("SECRET_KEY")) >= 50
        assert written == {"ALLOWED_HOSTS": "127.0.0.1,localhost", "HTTPS": "0", "SANDBOX": "0"}
        assert [path.name for path in place.parent.iterdir()] == [".env"]

    def test_is_read_by_the_settings_as_it_was_written(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first_env.write(place)
        monkeypatch.setattr(environ.Env, "ENVIRON", {})
        environ.Env.read_env(str(place))
        assert read(place) == environ.Env.ENVIRON

    def test_two_have_different_secrets(self, place: Path, tmp_path: Path) -> None:
        first_env.write(place)
        first_env.write(tmp_path / "other")
        assert not set(read(place).values()) & set(read(tmp_path / "other").values()) - {"0", "127.0.0.1,localhost"}

    def test_never_overwrites(self, place: Path) -> None:
        place.write_text("SECRET_KEY=mine\n")
        assert first_env.write(place) == "Kept .env as it is."
        assert place.read_text() == "SECRET_KEY=mine\n"

    def test_leaves_it_to_an_environment_that_has_secrets(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_KEY", "x")
        assert first_env.write(place) == "SECRET_KEY in the environment: no .env written."
        assert not place.exists()
