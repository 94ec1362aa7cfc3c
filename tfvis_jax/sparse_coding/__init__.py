"""The mathematics of sparse coding: problem, certificate, solvers, dictionary."""
