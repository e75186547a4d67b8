"""What tests share: where data are, a real Slurm, and the repository's root."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from hw5hpc.data.find import find

# No test is timed: a busy machine must not fail one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# What a shell without job control puts into the background is deaf to Ctrl-C, and its children too.
signal.signal(signal.SIGINT, signal.default_int_handler)
ROOT = Path(__file__).resolve().parents[1]
REQUIRED = bool(os.environ.get("HW5HPC_REQUIRE_ALL"))


def miss(reason: str) -> None:
    """Skip, but fail where everything is required: a skip must not hide a failure."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def quiet_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test talks to W&B unless it says so."""
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """The folder of the real Fashion-MNIST."""
    folder = find("fashion_mnist", None)
    if folder is None:
        miss("Fashion-MNIST is not here; get it with: python jobs/fetch_data.py fashion_mnist")
    assert folder is not None
    return folder


@pytest.fixture(scope="session")
def dev_cluster() -> Iterator[Path]:
    """A real Slurm on this machine; gives its state folder. It stays up after the tests."""
    if os.geteuid() != 0 and shutil.which("slurmctld", path="/usr/sbin:/usr/bin") is None:
        miss("Slurm is not installed, and only root can install it")
    script = str(ROOT / "slurm" / "dev_cluster.sh")
    up = subprocess.run(["bash", script, "up"], capture_output=True, text=True)
    if up.returncode != 0:
        miss(f"the development cluster did not start: {(up.stdout + up.stderr)[-1000:]}")
    shown = subprocess.run(["bash", script, "env"], capture_output=True, text=True, check=True)
    conf = shown.stdout.strip().removeprefix("export SLURM_CONF=")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", conf)
        yield Path(conf).parent


CHROMIUM = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-device-scale-factor=1",
)  # fmt: skip


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real headless Chromium with a profile of its own, driven by selenium."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        miss("Chromium is not here; get it with: make browser")
    try:
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        miss("selenium is not installed; get it with: make setup")
    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*CHROMIUM, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Chrome(options=options, service=Service(driver, log_output=os.devnull))
    yield made
    made.quit()
