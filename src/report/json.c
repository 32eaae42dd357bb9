/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/mem.h"

void moe_json_put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value) != 0)
        *ok = false;
}

void moe_json_add(json_t *array, json_t *value, bool *ok)
{
    if (json_array_append_new(array, value) != 0)
        *ok = false;
}

json_t *moe_json_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *moe_json_text(const char *s)
{
    json_t *value = json_string(s);
    char *plain = value == NULL ? moe_strdup(s, NULL) : NULL;
    for (char *p = plain; p != NULL && *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    if (plain != NULL)
        value = json_string(plain);
    free(plain);
    return value;
}
