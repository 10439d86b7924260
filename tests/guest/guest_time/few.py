"""Runs in a guest: the scenes of every test run."""

from tests.guest.guest_time.scenes import FEW, FEW_SETTINGS
from tests.guest.guest_time.stage import run

if __name__ == "__main__":
    run(FEW, FEW_SETTINGS, guest_ms=800)
