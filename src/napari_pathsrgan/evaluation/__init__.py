"""How good computed pictures are: metrics, comparisons on pairs, reports."""
