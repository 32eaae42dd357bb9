/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "moegps/mem.h"

/* What engines save with torch.save: a zip archive with a pickle. A script in
 * Python, without torch, hands out its arrays; nothing of a pickle is executed
 * but the making of tensors and containers. */

/* The script torch.py, line by line. */
static const char *const script[] = {
#include "torch_script.h"
};

extern char **environ;

/* @return the script's text, to be freed. */
static char *text_of_script(moe_error *err)
{
    size_t n = 1;
    for (size_t i = 0; i < MOE_ARRAY_LEN(script); i++)
        n += strlen(script[i]);
    char *text = moe_array_new(n, 1, err), *to = text;
    for (size_t i = 0; text != NULL && i < MOE_ARRAY_LEN(script); i++)
        to = stpcpy(to, script[i]);
    return text;
}

/* Start it with its output in a pipe. @return the process; -1: none. */
static pid_t start(char *text, const char *path, int out)
{
    char *argv[] = {"python3", "-I", "-c", text, (char *)path, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
                                     O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0)
        pid = -1;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

/* What the script says of a file, and where that goes. */
typedef struct {
    const char *path;
    FILE *from;
    const moe_recording_options *options;
    moe_companions beside;
    int64_t
        *step; /* [n_steps] numbers of loads' steps; NULL: not told; owned */
    size_t n_steps;
    moe_recording *out;
} telling;

static moe_status take_steps(telling *t, moe_numbers *a, moe_error *err)
{
    t->n_steps = moe_numbers_length(a);
    free(t->step);
    t->step = moe_array_new(t->n_steps, sizeof *t->step, err);
    return t->step != NULL ? moe_numbers_int(a, t->n_steps, t->step, err)
                           : err->status;
}

/* Rows of loads are all layers of the model. */
static void number_loads(const telling *t)
{
    t->out->numbered = true;
    for (size_t s = 0; t->n_steps == t->out->steps && s < t->n_steps; s++)
        t->out->step_number[s] = t->step[s];
}

static moe_status take_array(telling *t, const char *name, moe_error *err)
{
    moe_numbers a = {.source = moe_source_of_file(t->from)};
    moe_recording_options o = *t->options;
    const bool loads = strcmp(name, "loads") == 0;
    const bool tokens = strcmp(name, "tokens") == 0;
    snprintf(a.name, sizeof a.name, "%.400s", t->path);
    if (moe_npy_header(&a, err) != MOE_OK)
        return err->status;
    if (strcmp(name, "steps") == 0)
        return take_steps(t, &a, err);
    if (!loads && !tokens && strcmp(name, "array") != 0)
        return moe_companions_take(&t->beside, name, &a, err);
    if (loads || tokens) {
        o.kind = loads ? MOE_RECORDING_LOADS : MOE_RECORDING_TOKENS;
        o.axes = MOE_AXES_TOKENS_LAYERS;
    }
    if (moe_recording_take_array(&a, &o, &t->beside, t->out, err) == MOE_OK &&
        loads)
        number_loads(t);
    return err->status;
}

static void take_all(const char *path, FILE *from,
                     const moe_recording_options *options, moe_recording *out,
                     moe_error *err)
{
    char line[512];
    telling t = {.path = path, .from = from, .options = options, .out = out};
    while (err->status == MOE_OK && fgets(line, sizeof line, from) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "refuse ", 7) == 0)
            moe_fail(err, MOE_FORMAT, "%s: %.300s", path, line + 7);
        else
            take_array(&t, line, err);
    }
    if (err->status == MOE_OK && out->kind == MOE_RECORDING_ANY)
        moe_fail(err, MOE_FORMAT, "%s: needs python3 to be read", path);
    moe_companions_fini(&t.beside);
    free(t.step);
}

static bool detect(const char *path, const char *head, size_t n)
{
    const char *dot = strrchr(path, '.');
    return n > 4 && memcmp(head, "PK\3\4", 4) == 0 &&
           (dot == NULL || strcasecmp(dot, ".npz") != 0);
}

static moe_status read_torch(const char *path,
                             const moe_recording_options *options,
                             moe_recording *out, moe_error *err)
{
    int ends[2];
    char *text = text_of_script(err);
    if (text == NULL)
        return err->status;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        free(text);
        return moe_fail(err, MOE_IO, "%s", strerror(errno));
    }
    const pid_t pid = start(text, path, ends[1]);
    close(ends[1]);
    free(text);
    FILE *from = fdopen(ends[0], "rb");
    if (from == NULL) {
        close(ends[0]);
        moe_fail(err, MOE_IO, "%s", strerror(errno));
    } else {
        take_all(path, from, options, out, err);
        fclose(from);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return err->status;
}

const moe_recording_format moe_recording_torch = {
    .name = "torch",
    .help =
        "loads [steps, layers, experts] or SGLang's recorder, by torch.save",
    .detect = detect,
    .read = read_torch};
