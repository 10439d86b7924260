"""What rubicante asks of Linux, one module per interface. Nothing else here knows kernel names."""
