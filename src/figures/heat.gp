
# ---- heat.gp: a number per cell, by colour ----
# Cells are rectangles: sharp at any size.
# n_x, n_y: columns and rows; per_x, per_y: of them in a cell
# x_step, y_step: of ticks; cb_low, cb_high, cb_step: of the colours
# pointed: a page tells of every cell

unset grid
set border 0
set lmargin at screen across(52)
set rmargin at screen across(width - 76)
set bmargin at screen down(height - 46)
set colorbox user origin screen across(width - 66), screen down(height - 46) \
  size screen across(12), screen (down(top) - down(height - 46)) noborder
set xtics x_step
set ytics y_step
set xrange [-0.5:n_x - 0.5]
set yrange [n_y - 0.5:-0.5]
set cbrange [cb_low:cb_high]
set cbtics cb_step offset -0.6,0
from(x) = x - 0.5
to(x, n, end) = x + n > end ? end - 0.5 : x + n - 0.5
cells = 'data every ::1 using 1:2:(from($1)):(to($1, per_x, n_x)): \
  (from($2)):(to($2, per_y, n_y))'
tips = pointed ? ", data every ::1 using 1:2 with points pointtype 7 \
  pointsize 1.5 linecolor rgb invisible title 'tips'" : ''
