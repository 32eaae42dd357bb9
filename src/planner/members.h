/* Every planner: one line here and one file beside it. */
X(static)
X(duplicate)
X(eplb)
X(balance)
X(timed)
X(relocate)
