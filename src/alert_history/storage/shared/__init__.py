"""What both databases have in common: tables, reads, rows, statements that run on either. Opens no connection."""
