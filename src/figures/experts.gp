
# ---- experts.gp: predicted against true load of the experts of a layer ----
# The legend has the true load, then the predictions.
# n_experts; few: their numbers stand below their boxes
# predicted[i]: column of the data of the i-th prediction
# marked: predictions are points side by side, not lines
# Of many experts it is drawn what predictions are off by.

set xlabel x_title offset 0,1.2
set bmargin at screen down(height - 46)
set xtics x_step
set xrange [0.3:n_experts + 0.7]
set boxwidth few ? 0.85 : 1
set yrange [y_low:y_high]
set ytics y_step

n = few ? n_legend - 1 : n_legend
apart = !marked ? 0 : n * 0.14 < 0.8 ? 0.14 : 0.8 / n
place(i) = 1 + (i - (n + 1) / 2.) * apart
numbers = few ? ':xticlabels(2)' : ''
points = "points pointtype legend_kind[i + 1] pointsize 0.9 linewidth 1.5"
lines = "lines linewidth 2 dashtype legend_kind[i + 1]"
style = marked ? points : lines
predictions = n == 0 ? '' : ", for [i = 1:n] data every ::1 \
  using ($1 + place(i)):(column(predicted[i]) * 100) \
  with @style linecolor rgb paint(i + 1) title legend_name[i + 1]"
shares = "data every ::1 using ($1 + 1):($3 * 100)@numbers \
    with boxes linecolor rgb paint(1) title legend_name[1] @predictions"
off_by = "0 with lines dashtype 2 linecolor rgb faint title 'as it was', \
  for [i = 1:n] data every ::1 \
    using ($1 + 1):((column(predicted[i]) - $3) * n_experts) \
    with linespoints pointtype 7 pointsize 0.3 linewidth 1 \
    dashtype legend_kind[i] linecolor rgb paint(i) title legend_name[i]"
body = few ? shares : off_by
plot @body
