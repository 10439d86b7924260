"""What every process uses: settings, log, loop and store."""
