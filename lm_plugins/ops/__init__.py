"""Functions on tensors, which depend only on torch.

An op with several implementations is a package, with one module for each: `naive` is the definition and the
reference of the tests, `torch` uses torch alone, `cpu` the compiled kernels, `triton` kernels for GPUs. The
package itself selects one of them (:mod:`lm_plugins.ops.dispatch`). It imports names from torch and not torch
itself, because the attribute `torch` of the package is its module of that name.
"""
