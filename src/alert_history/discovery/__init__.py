"""Where targets are found: labelled Secrets of a Kubernetes namespace, or mounted files."""
