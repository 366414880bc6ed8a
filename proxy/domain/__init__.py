"""The vocabulary: ids, quantities, message values, paths and errors. Imports nothing of ours."""
