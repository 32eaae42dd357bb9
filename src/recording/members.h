/* Every format, in the order in which they are tried: one line here and one
 * file beside it. */
X(hdf5)
X(npy)
X(npz)
X(safetensors)
X(torch)
X(json)
X(table)
