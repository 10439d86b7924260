"""Ledgers: what pods hold of something shared, as entries in the status of its object. Pure."""
