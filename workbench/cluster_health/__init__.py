"""The health of an installation: what its parts say, judged one finding a line."""
