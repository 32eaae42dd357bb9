
# ---- traffic.gp: bytes that each GPU dispatches to each other ----
# What never leaves its GPU is grey: it would hide how the rest differs.
# unit: of the colours over bytes

set xlabel 'destination'
set ylabel 'source'
set cblabel cb_title
set palette defined (0 '#fff7bc', 0.35 '#fec44f', 0.7 '#d95f0e', 1 '#662506')
plot @cells:($1 == $2 ? NaN : $3 * unit) with boxxyerror fillcolor palette \
    title 'dispatched', \
  data every ::1 using ($1 == $2 ? $1 : NaN):2: \
    (from($1)):(to($1, per_x, n_x)):(from($2)):(to($2, per_y, n_y)) \
    with boxxyerror fillcolor rgb grey title 'stays'
