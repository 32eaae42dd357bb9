
# ---- heat.gp: a number per cell, by colour ----
# Cells are rectangles: sharp at any size.
# n_x, n_y: columns and rows; per_x, per_y: of them in a cell
# x_step, y_step: of ticks; cb_low, cb_high, cb_step: of the colours

unset grid
set border 0
set rmargin at screen 0.75
set xtics x_step
set ytics y_step
set xrange [-0.5:n_x - 0.5]
set yrange [n_y - 0.5:-0.5]
set cbrange [cb_low:cb_high]
set cbtics cb_step
from(x) = x - 0.5
to(x, n, end) = x + n > end ? end - 0.5 : x + n - 0.5
cells = 'data every ::1 using 1:2:(from($1)):(to($1, per_x, n_x)): \
  (from($2)):(to($2, per_y, n_y))'
