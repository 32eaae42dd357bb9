
# ---- layers.gp: a small figure per row: time of every layer, from 0 ----
# The line across every other row is the reference's.
# n_layers; most: s, the longest of all; reference: its row's number
# x_at[n_x_ticks], x_tick: places of layers, and their numbers

set xrange [-0.5:n_layers - 0.5]
set xtics ()
do for [i = 1:n_x_ticks] {
  set xtics add (sprintf('%d', x_tick[i]) x_at[i])
}
unset grid
dim = 120 << 24
y(s, t) = to_y(s) - (to_y(s) - from_y(s)) * t / most
plot data every ::1 using 3:(y(int($1), $5)):($3 - 0.5):($3 + 0.5): \
    (to_y(int($1))):(y(int($1), $5)):(dim | hue(int($1))) \
    with boxxyerror linecolor rgb variable title 'time', \
  for [i = 1:n_rows] data every ::1 \
    using ($1 == i - 1 && i - 1 != reference ? $3 - 0.5 : NaN): \
      (y(i - 1, $6)):(1):(0) \
    with vectors nohead linewidth 1.5 linecolor rgb 'black' title 'reference', \
  data every ::1 using ($5 == $5 ? $3 : NaN):(y(int($1), $5)) \
    with points pointtype 7 pointsize 1 linecolor rgb invisible title 'tips'
