"""`python -m aegisml.up`: the whole platform on one machine, from empty to ready."""
