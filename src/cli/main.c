/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "commands.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return moe_cmd_list(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "doctor") == 0)
        return moe_cmd_doctor(argc - 1, argv + 1);
    fprintf(stderr, "usage: moegps list|doctor\n");
    return 2;
}
