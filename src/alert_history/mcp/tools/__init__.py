"""The tools, a file for each noun. Each asks the same objects of the engine as HTTP and pages do."""
