"""The origins of imports: one system whose past can be brought in a file. `registry` finds them."""
