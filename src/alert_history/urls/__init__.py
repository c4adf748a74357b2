"""What the URLs of the settings say: read strictly and once, and handed on in parts, never as a URL again."""
