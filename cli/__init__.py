"""The `k40s` command: thin, one module per subcommand."""
