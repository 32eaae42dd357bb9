
# ---- rows.gp: a row per strategy: its name and number above what is drawn ----
# row[n_rows], value: their names and numbers; place: their rows from the top, 0
#   for the first; row_colour: of them; row_px: pixels of a row

set yrange [n_rows - 0.5:-0.5]
unset ytics
set border 1 linecolor rgb 'black'
set lmargin at screen across(10)
set rmargin at screen across(width - 10)
set bmargin at screen down(height - 46)
top_y(s) = place[s + 1] - 0.5
do for [i = 1:n_rows] {
  set label row[i] at screen across(10), first top_y(i - 1) + 9. / row_px left
  set label value[i] at screen across(width - 10), \
    first top_y(i - 1) + 9. / row_px right
}

# What is drawn lies between these.
from_y(s) = top_y(s) + 19. / row_px
to_y(s) = top_y(s) + (row_px - 4.) / row_px
mid_y(s) = (from_y(s) + to_y(s)) / 2
hue(s) = colour[row_colour[s + 1]]

# What a line across all rows marks; NaN: nothing.
if (exists('mark') && mark == mark) {
  do for [i = 1:n_rows] {
    set arrow from mark, first from_y(i - 1) to mark, first to_y(i - 1) nohead \
      front linecolor rgb 'black'
  }
}

unset grid
set grid xtics linecolor rgb faint linetype 1 linewidth 0.3
if (exists('x_step')) {
  set xtics x_step
}
if (exists('x_low')) {
  set xrange [x_low:x_high]
}
set xlabel x_title offset 0,1.2
