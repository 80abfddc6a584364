"""The declarations of the catalogue, one module for each group. Each is found by itself."""
