"""Task-set files, reports and pictures for people who ask before they deploy."""
