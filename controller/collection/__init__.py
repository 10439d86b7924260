"""Collection: reservations of pods that are gone are given back, and Networks say how they are."""
