
# ---- stacks.gp: parts of every row, end to end ----
# Parts are shades of the row's colour, even and odd ones in turn.
# unit: of the x axis over the data's

# Of 255: how much of the page shows through.
clear(part, from, to) = to <= 0 && from < 0 ? 215 : int(part) % 2 ? 110 : 175
shade(s, part, from, to) = (int(clear(part, from, to)) << 24) | hue(s)
pixels(from, to) = (to - from) * unit / (x_high - x_low) * (width - 20)
name(text, from, to) = strlen(text) * 7.4 + 6 < pixels(from, to) ? text : ''
plot data every ::1 using (($5 + $6) / 2 * unit):(mid_y(int($1))): \
    ($5 * unit):($6 * unit):(from_y(int($1))):(to_y(int($1))): \
    (shade(int($1), $3, $5, $6)) \
    with boxxyerror linecolor rgb variable title 'parts', \
  data every ::1 using ($6 * unit):(from_y(int($1))):(0): \
    (to_y(int($1)) - from_y(int($1))) \
    with vectors nohead linewidth 1 linecolor rgb 'white' title 'seams', \
  data every ::1 using (($5 + $6) / 2 * unit):(mid_y(int($1))): \
    (name(strcol(4), $5, $6)) with labels center noenhanced title 'names', \
  data every ::1 using (($5 + $6) / 2 * unit):(mid_y(int($1))) \
    with points pointtype 7 pointsize 1.2 linecolor rgb invisible title 'tips'
