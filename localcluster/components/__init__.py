"""One module per component: its command line and its configuration file, nothing else. Pure."""
