/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/launched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/mem.h"

static int number_of(const char *const *names, size_t n, int absent)
{
    for (size_t i = 0; i < n; i++) {
        const char *text = getenv(names[i]);
        if (text != NULL)
            return atoi(text);
    }
    return absent;
}

int moe_launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK",
                                        "PMIX_RANK", "SLURM_PROCID"};
    return number_of(names, MOE_ARRAY_LEN(names), 0);
}

int moe_launched_ranks(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE",
                                        "SLURM_STEP_NUM_TASKS"};
    return number_of(names, MOE_ARRAY_LEN(names), 1);
}

/* @return whether a file of the process that started this one is a terminal. */
static bool parent_on_terminal(int fd)
{
    static const char *const terminals[] = {"/dev/pts/", "/dev/tty",
                                            "/dev/console"};
    char link[64], path[128];
    snprintf(link, sizeof link, "/proc/%ld/fd/%d", (long)getppid(), fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    for (size_t i = 0; i < MOE_ARRAY_LEN(terminals); i++)
        if (strncmp(path, terminals[i], strlen(terminals[i])) == 0)
            return true;
    return false;
}

bool moe_launched_on_terminal(int fd)
{
    const bool own = isatty(fd) == 1;
    if (getenv("OMPI_COMM_WORLD_SIZE") == NULL)
        return own;
    return (own || fd == STDERR_FILENO) && parent_on_terminal(fd);
}
