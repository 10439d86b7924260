"""What a cluster is doing, as values for people: tables, the page, pictures. Pure."""
