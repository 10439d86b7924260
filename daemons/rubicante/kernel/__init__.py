"""Linux interfaces, one module each: cgroup and proc files, scheduling calls, inotify."""
