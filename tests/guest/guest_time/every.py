"""Runs in a guest: all scenes, and more of each."""

from tests.guest.guest_time.scenes import EVERY, EVERY_SETTING
from tests.guest.guest_time.stage import run

if __name__ == "__main__":
    run(EVERY, EVERY_SETTING, guest_ms=1_000)
