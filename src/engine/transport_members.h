/* Every transport: one line here and one file beside it. */
X(pairs)
X(tokens)
X(nodes)
X(allgather)
