"""RTnet's TDMA discipline: its state in /proc, and slots by ``tdmacfg`` or by ioctl."""
