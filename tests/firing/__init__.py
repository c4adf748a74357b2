"""What becomes of firings whose truth is known: the domain's rules alone, a store, and a judge over both."""
