/* SPDX-License-Identifier: Apache-2.0 */
#include "subcommands.h"

#include <stdbool.h>
#include <string.h>

#include "moegps/status.h"
#include "version.h"

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
    if (word != NULL)
        fprintf(stderr, "moegps: '%s' is not one of ", word);
    else
        fputs("moegps: expected one of ", stderr);
    for (const moe_subcommand *c = all->of; c->name != NULL; c++)
        fprintf(stderr, "%s%s", c == all->of ? "" : ", ", c->name);
    fprintf(stderr, " (see %s --help)\n", all->name);
    return moe_status_exit_code(MOE_USAGE);
}

int moe_subcommands_run(const moe_subcommands *all, int argc, char **argv)
{
    static const char *const help[] = {"-h", "-?", "--help", "help", NULL};
    static const char *const version[] = {"-V", "--version", NULL};
    const char *word = argc > 1 ? argv[1] : NULL;
    if (word == NULL)
        return refuse(all, word);
    for (const moe_subcommand *c = all->of; c->name != NULL; c++)
        if (strcmp(word, c->name) == 0)
            return c->run(argc - 1, argv + 1);
    if (is_any(word, help))
        moe_subcommands_help(all, stdout);
    else if (is_any(word, version))
        puts("moegps " MOE_VERSION);
    else
        return refuse(all, word);
    return 0;
}
