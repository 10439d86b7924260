"""The story that ``make demo`` tells on a real cluster, with every claim measured."""
