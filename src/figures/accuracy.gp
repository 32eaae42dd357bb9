
# ---- accuracy.gp: time of a layer against the accuracy of predicted tokens ----
# Oracles of less than full accuracy are a curve, the reference is a line, and
# predictors are points: the last entries of the legend, as the last rows.
# reference: s; unit: of the y axis over s
# n_others: entries of the legend, and n_oracles: rows that are no predictors

set xrange [x_low:x_high]
set xtics x_step
set yrange [y_low:y_high]
set ytics y_step
set format y y_format
set xlabel x_title offset 0,1.2
set bmargin at screen down(height - 46)
row(i) = n_oracles + i - n_others
predictors = n_legend == n_others ? '' : ", for [i = n_others + 1:n_legend] \
  data every ::row(i)::row(i) using ($3 * 100):($5 * unit) \
  with points pointsize 1.1 linewidth 2 pointtype legend_kind[i] \
  linecolor rgb paint(i) title legend_name[i]"
plot reference * unit \
    with lines linewidth 2 dashtype 2 linecolor rgb paint(n_others) title 'reference', \
  data every ::1 using ($1 == 1 ? $3 * 100 : NaN):($5 * unit) \
    with linespoints pointtype 7 pointsize 0.6 linewidth 2 \
    linecolor rgb faint title 'oracles', \
  data every ::1 using ($1 == 1 ? $3 * 100 : NaN):($6 * unit):(0): \
    (($7 - $6) * unit) \
    with vectors heads size screen 0.008,90 linewidth 2 \
    linecolor rgb faint title 'oracles' @predictors, \
  data every ::1 using ($3 * 100):($5 * unit) \
    with points pointtype 7 pointsize 1.5 linecolor rgb invisible title 'tips'
