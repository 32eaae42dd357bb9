
# ---- map.gp: the fastest strategy of every cell ----
# Hue is the strategy; strong is one that is far ahead of the second. A line
# goes where the verdict flips.
# strategy[n_strategies]: names; letters: of each
# margin[n_margins]: how far ahead a strategy is, from pale to strong
# own_links: a row is a cluster, else y is a bandwidth in GB/s
# unit: of the y axis over the data's
# x_tick[n_x_ticks]: none: gnuplot's own; y_tick[n_y_ticks], or y_label: clusters
# $boxes: colour, and sides in skewness and y
# $letters, $flips, $run: skewness and y of letters, of the line (if there are
# n_flips pieces) and of the run (if there is one: n_run)

# How much of the page shows through, of 255: pale on white, dim on black.
array clear[4] = [205, 160, 105, 25]
argb(i) = clear[i % n_margins + 1] << 24 | colour[i / n_margins + 1]

# A row of text per strategy, a column of rectangles per margin.
set label 'ahead of second by' at screen across(12), down(12) left
do for [s = 1:n_strategies] {
  y = 30 + 19 * (s - 1)
  set label letters[s:s].'  '.strategy[s] at screen across(12), down(y + 8) \
    left
  do for [m = 1:n_margins] {
    x = 148 + 64 * (m - 1)
    set object rectangle from screen across(x), down(y) \
      to screen across(x + 61), down(y + 16) \
      fillcolor rgb sprintf('#%08x', argb(n_margins * (s - 1) + m - 1)) \
      fillstyle solid 1 noborder
  }
}
do for [m = 1:n_margins] {
  set label margin[m] at screen across(148 + 64 * (m - 1) + 31), down(12) \
    center
}

set tmargin at screen down(top + 86)
set bmargin at screen down(height - 46)
unset grid
set xlabel x_title offset 0,1.2
set xrange [x_low:x_high]
if (n_x_ticks > 0) {
  set xtics ()
  do for [i = 1:n_x_ticks] {
    set xtics add (x_tick[i])
  }
}
set yrange [y_low:y_high]
set ytics ()
if (own_links) {
  do for [i = 1:n_y_ticks] {
    set ytics add (y_label[i] i - 1)
  }
} else {
  set ylabel 'link bandwidth, GB/s per direction'
  set logscale y
  do for [i = 1:n_y_ticks] {
    set ytics add (y_tick[i])
  }
}

# Boxes cover whole cells; line and point have a rim of the page's colour.
line = n_flips == 0 ? '' : ", \
  $flips using 1:($2 * unit) with lines linewidth 4.5 linecolor rgb 'white' \
    title 'flip', \
  $flips using 1:($2 * unit) with lines linewidth 2 linecolor rgb 'black' \
    title 'flip'"
point = n_run == 0 ? '' : ", \
  $run using 1:2 with points pointtype 7 pointsize 1.6 linecolor rgb 'white' \
    title 'this run', \
  $run using 1:2 with points pointtype 7 pointsize 1 linecolor rgb 'black' \
    title 'this run', \
  $run using 1:2:('this run') with labels offset 0,1 \
    title 'this run'"
plot $boxes using 2:($4 * unit):2:3:($4 * unit):($5 * unit):(argb(int($1))) \
    with boxxyerror linecolor rgb variable fillstyle solid 1 noborder \
    title 'fastest' @line, \
  $letters using 1:2:3 with labels title 'letters' @point
