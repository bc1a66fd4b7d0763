# SPDX-License-Identifier: Apache-2.0
"""How fast is it: ratios inside one run, each beside its budget (`make bench`).

`python -m bench` runs every row, `python -m bench NAME` one module's. What a row measures and
against what stands at the top of its module; nothing here is imported by the product.
"""
