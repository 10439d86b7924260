"""Container images and programs, built on this machine without a registry."""
