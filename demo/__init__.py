"""The demonstration that ``make demo`` runs on a real cluster, with every claim measured."""
