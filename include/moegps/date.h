/** date.h: the present in ISO 8601. */
#ifndef MOEGPS_DATE_H
#define MOEGPS_DATE_H

enum { MOE_DATE_LEN = 32 }; /* bytes of a date, with its NUL */

/** Write the time now, in UTC: 2025-01-31T23:59:59Z. Not collective. */
void moe_date_now(char text[MOE_DATE_LEN]);

#endif
