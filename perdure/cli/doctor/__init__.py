"""The checks that `perdure doctor` runs."""
