"""What every path of ours is made of: operations, parameters, problems, permissions. Knows nothing of alerts."""
