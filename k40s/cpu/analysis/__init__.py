"""Schedulability analyses, each with its source. Pure functions of whole microseconds."""
