"""JSON of API objects, to records and from values: the only room that knows their shapes."""
