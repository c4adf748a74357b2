"""What we take from others and hand on: vulnerabilities, secrets, licences, the bill of materials."""
