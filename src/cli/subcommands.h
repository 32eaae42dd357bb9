/** subcommands.h: a program, or a command, whose first word chooses another. */
#ifndef MOEGPS_CLI_SUBCOMMANDS_H
#define MOEGPS_CLI_SUBCOMMANDS_H

#include <stdio.h>

typedef struct moe_subcommand {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the name; the exit code */
    const char *help;                  /* one line */
} moe_subcommand;

typedef struct moe_subcommands {
    const char *name;         /* as the user types it: "moegps trace" */
    const char *help;         /* one line */
    const moe_subcommand *of; /* ends with a row without a name */
} moe_subcommands;

/** Run what argv[1] names, or answer --help (-h, help), `help COMMAND` or
 *  --version (-V).
 *  @return the exit code; 2 for a word that is none or is missing, with one
 *  line on stderr that names those there are. */
int moe_subcommands_run(const moe_subcommands *all, int argc, char **argv);

/** Print the usage: a line for every subcommand. */
void moe_subcommands_help(const moe_subcommands *all, FILE *out);

#endif
