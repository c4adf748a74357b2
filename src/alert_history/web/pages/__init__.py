"""What people see: pages written on the server, one noun a file."""
