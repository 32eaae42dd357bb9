/* SPDX-License-Identifier: Apache-2.0 */
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Start it with its complaints in a pipe. @return the process; -1: none. */
static pid_t start(const char *folder, const char *argument, int complaints)
{
    char *argv[] = {"gnuplot", "-d", (char *)argument, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
                                     O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, complaints, STDERR_FILENO);
    if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* Read to the end, and keep the last line that is not empty. */
static void keep_last_line(int from, char *line, size_t size)
{
    FILE *in = fdopen(from, "r");
    char text[512];
    if (in == NULL) {
        close(from);
        return;
    }
    while (fgets(text, sizeof text, in) != NULL) {
        const char *first = text + strspn(text, " \t");
        text[strcspn(text, "\r\n")] = '\0';
        if (first[0] != '\0')
            snprintf(line, size, "%s", first);
    }
    fclose(in);
}

bool moe_gnuplot_run(const char *folder, const char *argument, char *reason,
                     size_t size)
{
    static const char absent[] = "gnuplot cannot be run"; /* shells say 127 */
    int ends[2], state = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(reason, size, "%s", strerror(errno));
        return false;
    }
    const pid_t pid = start(folder, argument, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        snprintf(reason, size, "%s", absent);
        return false;
    }
    snprintf(reason, size, "gnuplot failed without a word");
    keep_last_line(ends[0], reason, size);
    while (waitpid(pid, &state, 0) < 0)
        if (errno != EINTR)
            return false;
    if (WIFEXITED(state) && WEXITSTATUS(state) == 127)
        snprintf(reason, size, "%s", absent);
    return WIFEXITED(state) && WEXITSTATUS(state) == 0;
}
