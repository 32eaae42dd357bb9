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

/* The text without an entry, and it with another value at the end. */
static char *replaced(const char *text, const char *key, const char *value,
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
    }
    if (to != NULL)
        fprintf(to, "%s%s: %s\n",
                *text != '\0' && text[strlen(text) - 1] != '\n' ? "\n" : "",
                key, value);
    if (to == NULL || fclose(to) != 0) {
        free(out);
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    return out;
}

/* Check an assignment, and make it. */
static char *with(const char *text, const moe_profile_keys *keys,
                  const char *assignment, moe_error *err)
{
    char key[LONGEST_KEY];
    const char *equals = strchr(assignment, '=');
    const size_t n = equals != NULL ? (size_t)(equals - assignment) : 0;
    if (n == 0 || n >= sizeof key || strchr(assignment, '\n') != NULL) {
        moe_fail(err, MOE_USAGE, "--set: '%s.%.80s' is not %s.KEY=VALUE",
                 keys->kind, assignment, keys->kind);
        return NULL;
    }
    snprintf(key, sizeof key, "%.*s", (int)n, assignment);
    const moe_opt *row = moe_opt_find(keys->rows, key);
    if (row == NULL) {
        moe_fail(err, MOE_USAGE, "--set: a %s has no '%s' (moegps list %ss)",
                 keys->kind, key, keys->kind);
        return NULL;
    }
    if (moe_opt_parse(row, equals + 1, keys->scratch, err) != MOE_OK) {
        moe_error_prefix(err, "--set");
        return NULL;
    }
    return replaced(text, key, equals + 1, err);
}

char *moe_profile_with(const char *text, const moe_profile_keys *keys,
                       const char *const *set, int n, moe_error *err)
{
    char *out = moe_strdup(text, err);
    for (int i = 0; i < n && out != NULL; i++) {
        const char *assignment = behind(set[i], keys->kind);
        if (assignment == NULL)
            continue;
        char *next = with(out, keys, assignment, err);
        free(out);
        out = next;
    }
    return out;
}

void moe_profile_name_set(char *name, size_t size, const char *kind,
                          const char *const *set, int n)
{
    char all[256] = "";
    for (int i = 0; i < n; i++)
        if (behind(set[i], kind) != NULL)
            moe_text_add(all, sizeof all, ", ", "%s", behind(set[i], kind));
    const size_t room = size - strlen(name);
    if (all[0] == '\0')
        return;
    if (strlen(all) + sizeof " ()" > room)
        snprintf(all, sizeof all, "changed");
    if (strlen(all) + sizeof " ()" <= room)
        snprintf(name + strlen(name), room, " (%s)", all);
}
