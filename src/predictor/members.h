/* Every predictor: one line here and one file beside it. */
X(none)
X(oracle)
X(distribution)
X(ffn)
X(lstm)
