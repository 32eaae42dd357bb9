
# ---- rows.gp: a row per strategy, the first on top ----
# row[n_rows]: names, as tick labels: %% stands for a per cent sign
# left: pixels of the longest name and the space around it

set yrange [n_rows - 0.5:-0.5]
set ytics scale 0 font ',12' ()
do for [i = 1:n_rows] {
  set ytics add (row[i] i - 1)
}
set lmargin at screen across(left)
unset grid
set grid xtics linecolor rgb faint linetype 1 linewidth 0.3
set xrange [x_low:x_high]
set xtics x_step
set xlabel x_title
