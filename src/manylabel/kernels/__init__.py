"""Kernels: arrays in, arrays out, by torch's operators or by code that Numba compiles for a CPU.

:mod:`~manylabel.kernels.torch_ops` works on every device; :mod:`~manylabel.kernels.choice` has what is compiled, and
says whether it is there. Nothing outside of this package imports Numba, or calls it.
"""
