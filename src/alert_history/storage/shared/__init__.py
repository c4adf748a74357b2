"""What both databases have in common: tables, reads, rows, and statements for either. Opens no connection."""
