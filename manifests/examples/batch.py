"""Work that is not critical: it takes what is left, and waits for nothing. `batch.py WORK_MS`."""

import sys
import time

work_ms = int(sys.argv[1])
while True:
    begin = time.monotonic()
    used = time.thread_time()
    while time.thread_time() - used < work_ms / 1000:
        pass
    print(f"{work_ms} ms of work took {(time.monotonic() - begin) * 1000:.0f} ms", flush=True)
    time.sleep(1)
