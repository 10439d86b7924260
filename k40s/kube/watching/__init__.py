"""Lists and watches of one kind of object each, and who is told of changes."""
