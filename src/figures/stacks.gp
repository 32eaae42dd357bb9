
# ---- stacks.gp: parts of every row, end to end ----
# The legend has the parts, by their number in column 3 of the data.
# unit: of the x axis over the data's
# origin: where a line marks that nothing is lost; NaN: nowhere

if (origin == origin) {
  set arrow from origin, graph 0 to origin, graph 1 nohead dashtype 2 \
    linecolor rgb faint
}
plot for [i = 1:n_legend] data every ::1 \
  using ($3 == legend_kind[i] ? ($5 + $6) / 2 * unit : NaN):1: \
    ($5 * unit):($6 * unit):($1 - 0.35):($1 + 0.35) \
  with boxxyerror linecolor rgb paint(i) title legend_name[i]
