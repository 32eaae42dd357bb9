/* Every format, in the order in which they are tried: one line here and one
 * file beside it. */
X(npy)
X(json)
X(table)
