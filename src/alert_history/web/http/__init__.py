"""What every route of ours is made of: operations, problems, parameters, connections. Knows nothing of alerts."""
