
# ---- copy.gp: the same as PDF ----
# 100 pixels of the SVG are an inch. Letters shrink as much: pdfcairo's own
# scale of them is 0.75.

set terminal pdfcairo size width / 100., height / 100. noenhanced \
  font 'sans,14' fontscale 0.54
set output figure.'.pdf'
replot
set output
