/* Every format, in the order in which they are tried: one line here and one
 * file beside it. */
X(hdf5)
X(npy)
X(safetensors)
X(json)
X(table)
