/* Every FFN back end: one line here and one file beside it; paced is none's. */
X(none)
X(exact)
X(dnnl)
X(paced)
