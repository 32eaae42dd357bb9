/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/profile_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/text.h"

enum { LONGEST_KEY = 64 };

/* @return "KEY=VALUE" behind "KIND."; NULL: the assignment is of another. */
static const char *behind(const char *assignment, const char *kind)
{
    const size_t n = strlen(kind);
    return strncmp(assignment, kind, n) == 0 && assignment[n] == '.'
               ? assignment + n + 1
               : NULL;
}

bool moe_profile_is_set(const char *assignment)
{
    return behind(assignment, "cluster") != NULL ||
           behind(assignment, "model") != NULL;
}

/* @return the line after one and what continues it. */
static const char *next_entry(const char *line)
{
    do {
        line += strcspn(line, "\n");
        line += *line == '\n';
    } while (*line == ' ' || *line == '\t');
    return line;
}

/* A value as YAML text that is taken as it is. */
static void quote(const char *value, FILE *to)
{
    fputc('\'', to);
    for (; *value != '\0'; value++)
        fputs(*value == '\'' ? "\'\'" : (char[]){*value, '\0'}, to);
    fputs("'\n", to);
}

char *moe_profile_put(char *text, const char *key, const char *value,
                      moe_error *err)
{
    char *out = NULL;
    size_t size = 0;
    const size_t n = strlen(key);
    FILE *to = open_memstream(&out, &size);
    for (const char *at = text, *next; to != NULL && *at != '\0'; at = next) {
        next = next_entry(at);
        if (strncmp(at, key, n) != 0 || at[n] != ':')
            fprintf(to, "%.*s", (int)(next - at), at);
        if (*next == '\0' && next[-1] != '\n')
            fputc('\n', to);
    }
    if (to != NULL) {
        fprintf(to, "%s: ", key);
        quote(value, to);
    }
    free(text);
    if (to == NULL || fclose(to) != 0) {
        free(out);
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    return out;
}

/* Check an assignment, and make it. @param text  from the heap; freed. */
static char *with(char *text, const moe_profile_keys *keys,
                  const char *assignment, moe_error *err)
{
    char key[LONGEST_KEY];
    const char *equals = strchr(assignment, '=');
    const size_t n = equals != NULL ? (size_t)(equals - assignment) : 0;
    const bool whole =
        n > 0 && n < sizeof key && strchr(assignment, '\n') == NULL;
    snprintf(key, sizeof key, "%.*s", whole ? (int)n : 0, assignment);
    const moe_opt *row = whole ? moe_opt_find(keys->rows, key) : NULL;
    if (!whole)
        moe_fail(err, MOE_USAGE, "--set: '%s.%.80s' is not %s.KEY=VALUE",
                 keys->kind, assignment, keys->kind);
    else if (row == NULL)
        moe_fail(err, MOE_USAGE, "--set: a %s has no '%s' (moegps list %ss)",
                 keys->kind, key, keys->kind);
    else if (moe_opt_parse(row, equals + 1, keys->scratch, err) != MOE_OK)
        moe_error_prefix(err, "--set");
    else
        return moe_profile_put(text, key, equals + 1, err);
    free(text);
    return NULL;
}

char *moe_profile_with(const char *text, const moe_profile_keys *keys,
                       const moe_strings *set, moe_error *err)
{
    char *out = moe_strdup(text, err);
    for (int i = 0; i < set->n && out != NULL; i++) {
        const char *assignment = behind(set->text[i], keys->kind);
        if (assignment != NULL)
            out = with(out, keys, assignment, err);
    }
    return out;
}

bool moe_profile_any_set(const char *kind, const moe_strings *set)
{
    for (int i = 0; i < set->n; i++)
        if (behind(set->text[i], kind) != NULL)
            return true;
    return false;
}

const char *moe_profile_value_set(const char *kind, const char *key,
                                  const moe_strings *set)
{
    const size_t n = strlen(key);
    const char *value = NULL;
    for (int i = 0; i < set->n; i++) {
        const char *at = behind(set->text[i], kind);
        if (at != NULL && strncmp(at, key, n) == 0 && at[n] == '=')
            value = at + n + 1;
    }
    return value;
}

void moe_profile_name_set(char *name, size_t size, const char *kind,
                          const moe_strings *set)
{
    char all[256] = "";
    for (int i = 0; i < set->n; i++) {
        const char *assignment = behind(set->text[i], kind);
        if (assignment != NULL)
            moe_text_add(all, sizeof all, ", ", "%s", assignment);
    }
    const size_t room = size - strlen(name);
    if (all[0] == '\0')
        return;
    if (strlen(all) + sizeof " ()" > room)
        snprintf(all, sizeof all, "changed");
    if (strlen(all) + sizeof " ()" <= room)
        snprintf(name + strlen(name), room, " (%s)", all);
}
