"""The chapters of the story: each plays on the stage, and says what it found beside its claims."""
