"""What replicas call out to each other, so that they need not wait for their next look at the database."""
