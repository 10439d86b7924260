"""The plan of the experiment, and what it records: values, texts and files."""
