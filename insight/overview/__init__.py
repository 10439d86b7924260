"""The overview that readers are shown: built from what is watched, cut to each reader's rights."""
