"""Kernels: arrays in, arrays out, by torch's operators or by code that Numba compiles for a CPU.

:mod:`~manylabel.kernels.choice` has the functions that the other floors call; each picks one of two forms.
Nothing outside of this package knows which of them ran, imports Numba, or calls it.
"""
