/* SPDX-License-Identifier: Apache-2.0 */
#include "subcommands.h"

#include <stdbool.h>
#include <string.h>

#include "moegps/status.h"
#include "moegps/text.h"
#include "version.h"

enum { MAX_WORDS = 8 }; /* behind help */

void moe_subcommands_help(const moe_subcommands *all, FILE *out)
{
    fprintf(out, "Usage: %s COMMAND [ARGUMENTS]\n%s\n\n", all->name, all->help);
    for (const moe_subcommand *c = all->of; c->name != NULL; c++)
        fprintf(out, "  %-10s %s\n", c->name, c->help);
    fprintf(out,
            "\n`%s COMMAND --help` explains a command; `%s --version` names "
            "the build.\n",
            all->name, all->name);
}

static bool is_any(const char *word, const char *const *names)
{
    while (*names != NULL && strcmp(word, *names) != 0)
        names++;
    return *names != NULL;
}

static int refuse(const moe_subcommands *all, const char *word)
{
    moe_nearest meant = {.word = word != NULL ? word : ""};
    if (word != NULL)
        fprintf(stderr, "moegps: '%s' is not one of ", word);
    else
        fputs("moegps: expected one of ", stderr);
    for (const moe_subcommand *c = all->of; c->name != NULL; c++) {
        fprintf(stderr, "%s%s", c == all->of ? "" : ", ", c->name);
        moe_nearest_try(&meant, c->name);
    }
    if (meant.name != NULL)
        fprintf(stderr, "; did you mean %s?", meant.name);
    fprintf(stderr, " (see %s --help)\n", all->name);
    return moe_status_exit_code(MOE_USAGE);
}

static const moe_subcommand *find(const moe_subcommands *all, const char *word)
{
    for (const moe_subcommand *c = all->of; c->name != NULL; c++)
        if (strcmp(word, c->name) == 0)
            return c;
    return NULL;
}

/* "help COMMAND WORDS..." is "COMMAND WORDS... --help". */
static int help_on(const moe_subcommands *all, int argc, char **argv)
{
    static char option[] = "--help";
    char *asked[MAX_WORDS + 2] = {NULL};
    const moe_subcommand *c = find(all, argv[0]);
    if (c == NULL || argc > MAX_WORDS)
        return refuse(all, argv[0]);
    for (int i = 0; i < argc; i++)
        asked[i] = argv[i];
    asked[argc] = option;
    return c->run(argc + 1, asked);
}

int moe_subcommands_run(const moe_subcommands *all, int argc, char **argv)
{
    static const char *const help[] = {"-h", "-?", "--help", "help", NULL};
    static const char *const version[] = {"-V", "--version", NULL};
    const char *word = argc > 1 ? argv[1] : NULL;
    if (word == NULL)
        return refuse(all, word);
    const moe_subcommand *c = find(all, word);
    if (c != NULL)
        return c->run(argc - 1, argv + 1);
    if (strcmp(word, "help") == 0 && argc > 2)
        return help_on(all, argc - 2, argv + 2);
    if (is_any(word, help))
        moe_subcommands_help(all, stdout);
    else if (is_any(word, version))
        puts("moegps " MOE_VERSION);
    else
        return refuse(all, word);
    return 0;
}
