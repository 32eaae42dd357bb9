/* Every split: one line here and one file beside it. */
X(quota)
X(equal)
X(local)
X(deal)
X(minmax)
