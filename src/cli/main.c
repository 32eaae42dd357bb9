/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "commands.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "trace") == 0)
        return moe_cmd_trace(argc - 1, argv + 1);
    fputs("moegps: expected a subcommand: trace\n", stderr);
    return 2;
}
