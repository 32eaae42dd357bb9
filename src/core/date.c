/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/date.h"

#include <time.h>

void moe_date_now(char text[MOE_DATE_LEN])
{
    const time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, MOE_DATE_LEN, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
