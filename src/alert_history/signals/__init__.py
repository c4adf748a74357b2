"""What replicas call out to each other, so that a change is seen before the next look at the database."""
