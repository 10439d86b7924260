"""What every guest of these tests gets, and how long it may take."""

from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SOURCES = {name: PROJECT / name for name in ("k40s", "daemons", "localcluster", "tests/guest")}
BOOT_SECONDS = 900
PLAY_SECONDS = 3600
"""For all scenes on one kernel; a busy machine needs many times as long as a quiet one."""
