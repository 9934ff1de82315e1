"""The noise-stability properties of [A], one file each: from raw norms per row to the property per row.

[A] is Arora, Ge, Neyshabur, Zhang 2018, "Stronger generalization bounds for deep nets via a compression approach".
Every function takes and returns float64 arrays whose first axis is the row; NaN stands for "undefined on this row".
"""
