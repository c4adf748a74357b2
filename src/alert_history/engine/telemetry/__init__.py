"""What the engine measures, one room a file. An alert's own labels never become metric labels."""
