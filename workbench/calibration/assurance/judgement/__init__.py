"""Scores metrics and judges windows: from recordings to a profile, without I/O."""
