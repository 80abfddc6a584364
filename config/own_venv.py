"""Makes .venv from a pinned requirements file, once, and again when that file changes. Standard library only."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


@contextmanager
def alone() -> Iterator[None]:
    """Two makes in one checkout take turns here."""
    (ROOT / "var").mkdir(exist_ok=True)
    with (ROOT / "var" / "venv.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another make is busy with .venv: waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def works() -> bool:
    """Whether .venv is there and complete: not interrupted halfway, its Python not uninstalled since."""
    try:
        return subprocess.run([PYTHON, "-c", "import pip"], capture_output=True).returncode == 0
    except OSError:
        return False


def install(requirements: Path) -> None:
    """Bring .venv up to date with this file. Raises CalledProcessError when that fails."""
    if not works():
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    stamp = VENV / f"{requirements.name}.sha256"  # written last: an interrupted install is done again
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"Installing {requirements.name} into .venv (only when it changes; a minute or so) ...", flush=True)
    pip = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "install", "--require-hashes", "-r", requirements], check=True)
    stamp.write_text(digest)


def main() -> None:
    try:
        with alone():
            install(ROOT / sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"Setting up .venv failed (see above, status {error.returncode}): once that is mended, run make again."
        )
    except KeyboardInterrupt:
        sys.exit("Setting up .venv was interrupted: run make again to go on.")


if __name__ == "__main__":
    main()
