
# ---- traffic.gp: bytes that each GPU dispatches to each other ----
# What never leaves its GPU is grey: it would hide how the rest differs.
# unit: of the colours over bytes; group: GPUs of a node, with lines between
# numbered: cells have their numbers written, too

set xlabel 'to GPU' offset 0,1.2
set ylabel 'from GPU' offset 1,0
set palette defined (0 '#f2f2f2', 1 '#b39bd0', 2 '#5b2a86')
do for [i = group:n_x - 1:group] {
  set arrow from i - 0.5, graph 0 to i - 0.5, graph 1 nohead front linewidth 2 \
    linecolor rgb 'white'
  set arrow from graph 0, first i - 0.5 to graph 1, first i - 0.5 nohead front \
    linewidth 2 linecolor rgb 'white'
}
dark(x) = x > (cb_low + cb_high) / 2
number(x) = numbered ? (x < 10 ? sprintf('%.2g', x) : sprintf('%.0f', x)) : ''
plot @cells:($1 == $2 ? NaN : $3 * unit) with boxxyerror fillcolor palette \
    title 'dispatched', \
  data every ::1 using ($1 == $2 ? $1 : NaN):2: \
    (from($1)):(to($1, per_x, n_x)):(from($2)):(to($2, per_y, n_y)) \
    with boxxyerror fillcolor rgb grey title 'stays', \
  data every ::1 using ($1 != $2 && dark($3 * unit) ? $1 : NaN):2: \
    (number($3 * unit)) with labels textcolor rgb '#fefefe' title 'numbers', \
  data every ::1 using ($1 != $2 && !dark($3 * unit) ? $1 : NaN):2: \
    (number($3 * unit)) with labels textcolor rgb '#1a1a1a' title 'numbers' @tips
