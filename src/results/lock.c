/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/mem.h"
#include "moegps/replace.h"

enum { TEXT_LEN = 256, PATH_LEN = 4200, WRITING_US = 200000 };

/* Who holds a lock: one line of text. */
typedef struct {
    char host[96], job[64]; /* job "-": of no batch system */
    long pid;
    unsigned long long start; /* of the process, clock ticks since boot */
} holder;

/* When a process began: numbers of processes come again. 0: there is none, or it
 * has ended and nobody has asked how (a zombie: in a container maybe for ever). */
static unsigned long long start_of(long pid)
{
    char path[64], line[1024] = "";
    unsigned long long start = 0;
    char state = 'Z';
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    const char *name_end =
        fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
    fclose(f);
    if (name_end == NULL ||
        sscanf(name_end + 1,
               " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %*s %*s %llu",
               &state, &start) != 2 ||
        state == 'Z' || state == 'X')
        return 0;
    return start;
}

static holder ourselves(void)
{
    const char *job = getenv("SLURM_JOB_ID");
    holder h = {.pid = (long)getpid(), .start = start_of((long)getpid())};
    if (gethostname(h.host, sizeof h.host - 1) != 0 || h.host[0] == '\0')
        snprintf(h.host, sizeof h.host, "unknown");
    snprintf(h.job, sizeof h.job, "%s",
             job != NULL && *job != '\0' ? job : "-");
    return h;
}

/* @return false if nobody is named. */
static bool read_holder(const char *path, holder *out)
{
    char line[TEXT_LEN] = "";
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    const bool ok = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    *out = (holder){.pid = 0};
    return ok && sscanf(line, "%95s %ld %llu %63s", out->host, &out->pid,
                        &out->start, out->job) == 4;
}

static bool is_same(const holder *a, const holder *b)
{
    return strcmp(a->host, b->host) == 0 && a->pid == b->pid &&
           a->start == b->start;
}

/* A process of this host is asked for; a job that runs again, maybe elsewhere,
 * has ended before. */
static bool is_gone(const holder *h, const holder *us)
{
    if (strcmp(h->host, us->host) == 0)
        return start_of(h->pid) != h->start;
    return strcmp(h->job, "-") != 0 && strcmp(h->job, us->job) == 0;
}

/* @return 0, or -1 with errno. */
static int make(const char *path, const holder *us)
{
    char line[TEXT_LEN];
    const int n = snprintf(line, sizeof line, "%s %ld %llu %s\n", us->host,
                           us->pid, us->start, us->job);
    const int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0)
        return -1;
    const bool whole = write(fd, line, (size_t)n) == n;
    if (close(fd) == 0 && whole)
        return 0;
    unlink(path); /* the disk is full: told when the run's file is made */
    errno = ENOSPC;
    return -1;
}

/* Take a stale lock away. It may be another's new one by now: then it goes
 * back. */
static void remove_stale(const char *path, const holder *stale)
{
    char aside[PATH_LEN + 32];
    holder found;
    snprintf(aside, sizeof aside, "%s.%ld", path, (long)getpid());
    if (rename(path, aside) != 0)
        return;
    if (read_holder(aside, &found) && !is_same(&found, stale) &&
        moe_replace_rename(aside, path, false) == 0)
        return;
    unlink(aside);
}

bool moe_lock_take(const char *partial, moe_error *err)
{
    char path[PATH_LEN];
    holder other = {.pid = 0};
    const holder us = ourselves();
    if (snprintf(path, sizeof path, "%s.lock", partial) >= (int)sizeof path)
        return false;
    for (int tries = 0; tries < 3; tries++) {
        if (make(path, &us) == 0)
            return true;
        if (errno != EEXIST) /* nothing can be written there: told later */
            return false;
        bool known = read_holder(path, &other);
        if (!known && usleep(WRITING_US) == 0) /* it is being written */
            known = read_holder(path, &other);
        if (known && is_same(&other, &us))
            return true;
        if (known && !is_gone(&other, &us))
            break;
        remove_stale(path, &other);
    }
    moe_fail(err, MOE_EXISTS,
             "%s: is being written by process %ld on %s%s%s; if that is gone, "
             "remove %s",
             partial, other.pid, other.host,
             strcmp(other.job, "-") != 0 ? ", Slurm job " : "",
             strcmp(other.job, "-") != 0 ? other.job : "", path);
    return false;
}

void moe_lock_drop(const char *partial)
{
    char path[PATH_LEN];
    if (snprintf(path, sizeof path, "%s.lock", partial) < (int)sizeof path)
        unlink(path);
}
