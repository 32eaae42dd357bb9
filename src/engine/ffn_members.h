/* Every FFN back end: one line here and one file beside it. */
X(none)
X(exact)
X(dnnl)
