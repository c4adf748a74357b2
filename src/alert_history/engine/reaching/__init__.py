"""A store that shows who calls the alerts within their reach, and no other: what HTTP and pages read through.

One file a group of ports. What can't be told of some alerts alone is refused with Forbidden. What a service does by
itself reads the store as it is.
"""
