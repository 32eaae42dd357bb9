/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args_old.h"
#include "moegps/learned.h"
#include "moegps/mem.h"
#include "moegps/predictor.h"
#include "moegps/progress.h"
#include "trace.h"

enum {
    KEY_TRACE = 't',
    KEY_PREDICTORS = 'p',
    KEY_OUT = 'o',
    KEY_QUIET = 'q',
    KEY_SEED = 256,
    KEY_EPOCHS,
    KEY_BITS,
    KEY_RESUME,
    KEY_FORCE
};

enum { MAX_EPOCHS = 100000, MAX_NAMES = 16, FULL_BITS = 23 };

typedef struct {
    const char *trace, *predictors;
    moe_trace_output out;
    uint64_t seed, epochs, bits;
    bool resume, quiet;
} train_options;

static const struct argp_option options[] = {
    {"trace", KEY_TRACE, "FILE_OR_NAME", 0,
     "token trace; its training part alone is learned from", 0},
    {"predictors", KEY_PREDICTORS, "LIST", 0, "as in ffn,lstm", 0},
    {"out", KEY_OUT, "FILE", 0, "predictor file (predictors.h5)", 0},
    {"seed", KEY_SEED, "N", 0, "of weights, order and validation part (1)", 0},
    {"epochs", KEY_EPOCHS, "N", 0,
     "at most; fewer when validation stops getting better (the predictor's)",
     0},
    {"bits", KEY_BITS, "N", 0,
     "of the 23 of each weight's fraction to keep, which makes the file "
     "smaller (23)",
     0},
    {"resume", KEY_RESUME, NULL, 0,
     "go on with an interrupted training from FILE.partial", 0},
    {"force", KEY_FORCE, NULL, 0, "replace an existing file", 0},
    {"quiet", KEY_QUIET, NULL, 0, "no progress and no notes", 0},
    MOE_ARGS_HELP,
    {0}};

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    train_options *o = input;
    switch (key) {
    case KEY_TRACE:
        o->trace = arg;
        return MOE_OK;
    case KEY_PREDICTORS:
        o->predictors = arg;
        return MOE_OK;
    case KEY_OUT:
        o->out.path = arg;
        return MOE_OK;
    case KEY_SEED:
        return moe_trace_parse_u64(arg, "--seed", 0, INT64_MAX, &o->seed, err);
    case KEY_EPOCHS:
        return moe_trace_parse_u64(arg, "--epochs", 1, MAX_EPOCHS, &o->epochs,
                                   err);
    case KEY_BITS:
        return moe_trace_parse_u64(arg, "--bits", 1, FULL_BITS, &o->bits, err);
    case KEY_RESUME:
        o->resume = true;
        return MOE_OK;
    case KEY_FORCE:
        o->out.force = true;
        return MOE_OK;
    case KEY_QUIET:
        o->quiet = true;
        return MOE_OK;
    default:
        return moe_fail(err, MOE_USAGE, "'%s': no argument is expected", arg);
    }
}

static const moe_args_old args = {
    .name = "moegps train",
    .args = "--trace FILE_OR_NAME --predictors LIST",
    .help = "Train predictors on the training part of a token trace. Equal "
            "options make equal files on a machine with as many threads "
            "(OMP_NUM_THREADS). Ctrl-C keeps the finished epochs.",
    .options = options,
    .take = take};

/* Everything a training holds. */
typedef struct {
    train_options o;
    moe_trace trace;
    moe_learned learned;
    const moe_predictor *predictor[MAX_NAMES];
    int n_predictors;
    char names[256], partial[1100], fresh[1100];
    moe_progress progress;
} train_job;

/* Signals that end training after an epoch. They are kept waiting and looked
 * at, never handled: products of oneDNN 2.6.3 that a handler interrupts now and
 * then leave a broken heap behind. */
static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

static bool stop_asked(void)
{
    sigset_t waiting;
    return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGINT) == 1 ||
                                         sigismember(&waiting, SIGTERM) == 1);
}

/* Names of those that can be trained. */
static void list_trainable(char *text, size_t size)
{
    for (size_t i = 0; moe_predictor_at(i) != NULL; i++) {
        const size_t used = strlen(text);
        if (moe_predictor_at(i)->train != NULL)
            snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
                     moe_predictor_at(i)->name);
    }
}

static moe_status find_predictors(train_job *t, moe_error *err)
{
    char known[256] = "", *rest = NULL;
    list_trainable(known, sizeof known);
    snprintf(t->names, sizeof t->names, "%s", t->o.predictors);
    for (char *name = strtok_r(t->names, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        const moe_predictor *p = moe_predictor_find(name);
        if (p == NULL || p->train == NULL)
            return moe_fail(err, MOE_USAGE,
                            "--predictors: '%s' %s (allowed: %s)", name,
                            p == NULL ? "is no predictor"
                                      : "learns from the trace when it runs",
                            known);
        for (int i = 0; i < t->n_predictors; i++)
            if (t->predictor[i] == p)
                return moe_fail(err, MOE_USAGE,
                                "--predictors: '%s' is there twice", name);
        if (t->n_predictors == MAX_NAMES)
            return moe_fail(err, MOE_USAGE, "--predictors: at most %d",
                            MAX_NAMES);
        t->predictor[t->n_predictors++] = p;
    }
    if (t->n_predictors == 0)
        return moe_fail(err, MOE_USAGE, "--predictors: empty (allowed: %s)",
                        known);
    return MOE_OK;
}

static moe_status check_options(train_job *t, moe_error *err)
{
    train_options *o = &t->o;
    if (o->out.path == NULL)
        o->out.path = "predictors.h5";
    if (o->trace == NULL || o->predictors == NULL)
        return moe_fail(err, MOE_USAGE, "no %s given (see %s --help)",
                        o->trace == NULL ? "--trace" : "--predictors",
                        args.name);
    if (strlen(o->out.path) > 1000 || o->out.path[0] == '\0')
        return moe_fail(err, MOE_USAGE, "--out: 1 to 1000 characters");
    snprintf(t->partial, sizeof t->partial, "%s.partial", o->out.path);
    snprintf(t->fresh, sizeof t->fresh, "%s.new", o->out.path);
    if (find_predictors(t, err) != MOE_OK)
        return err->status;
    if (!o->out.force && access(o->out.path, F_OK) == 0)
        return moe_fail(err, MOE_EXISTS, "%s: exists; --force replaces it",
                        o->out.path);
    if (!o->resume && !o->out.force && access(t->partial, F_OK) == 0)
        return moe_fail(err, MOE_EXISTS,
                        "%s: an interrupted training; --resume goes on with "
                        "it, --force starts again",
                        t->partial);
    return MOE_OK;
}

/* Write beside, then move: what was there before stays until then. */
static moe_status write_as(const train_job *t, const char *path, moe_error *err)
{
    unlink(t->fresh);
    if (moe_learned_write(t->fresh, &t->learned, err) != MOE_OK)
        return err->status;
    if (rename(t->fresh, path) == 0)
        return MOE_OK;
    const int why = errno;
    unlink(t->fresh);
    return moe_fail(err, MOE_IO, "%s: %s", path, strerror(why));
}

static moe_status after_epoch(void *arg, const moe_learned_part *part,
                              moe_error *err)
{
    train_job *t = arg;
    moe_progress_step(&t->progress, part->epochs);
    if (write_as(t, t->partial, err) != MOE_OK)
        return err->status;
    if (!stop_asked())
        return MOE_OK;
    return moe_fail(err, MOE_INTERRUPTED,
                    "stopped after epoch %d; --resume goes on from %s",
                    part->epochs, t->partial);
}

/* The checkpoint must be of what is asked for now. */
static moe_status resume(train_job *t, moe_error *err)
{
    moe_learned old = {.shared = MPI_WIN_NULL};
    if (!t->o.resume || access(t->partial, F_OK) != 0)
        return MOE_OK;
    if (moe_learned_read(t->partial, &old, err) != MOE_OK)
        return err->status;
    bool same = strcmp(old.trace_sha256, t->learned.trace_sha256) == 0 &&
                old.n_parts <= t->n_predictors &&
                old.kept_bits == t->learned.kept_bits;
    for (int p = 0; p < old.n_parts && same; p++)
        same = strcmp(old.part[p].predictor, t->predictor[p]->name) == 0;
    if (!same) {
        moe_learned_free(&old);
        return moe_fail(err, MOE_MISMATCH,
                        "%s: is of another trace or other options", t->partial);
    }
    memcpy(old.command, t->learned.command, sizeof old.command);
    moe_learned_free(&t->learned);
    t->learned = old;
    return MOE_OK;
}

static void say_result(const train_job *t, const moe_learned_part *part)
{
    moe_learned_shape s = {.name = "valid_recall",
                           .rank = 1,
                           .dim_name = {MOE_LEARNED_EPOCH},
                           .dim = {(uint64_t)part->epochs_limit}};
    const float *recall = moe_learned_get(part, &s, NULL);
    s.name = "valid_top1";
    const float *top1 = moe_learned_get(part, &s, NULL);
    if (!t->o.quiet && recall != NULL && top1 != NULL)
        fprintf(stderr,
                "moegps: %s: %d epochs, best %d; on the validation part: "
                "recall@%d %.4f, top-1 %.4f, loss %.4f; CPU time %.0f s\n",
                part->predictor, part->epochs, part->best_epoch + 1,
                t->learned.top_k, (double)recall[part->best_epoch],
                (double)top1[part->best_epoch], part->final_loss, part->cpu_s);
}

static moe_status train_one(train_job *t, const moe_predictor *p,
                            moe_error *err)
{
    char what[64];
    moe_learned_part *part = moe_learned_find(&t->learned, p->name);
    if (part == NULL)
        part = moe_learned_add(&t->learned, p->name, err);
    if (part == NULL || part->complete)
        return err->status;
    const moe_train_env env = {.trace = &t->trace,
                               .seed = t->o.seed,
                               .epochs = (int)t->o.epochs,
                               .kept_bits = (int)t->o.bits,
                               .epoch = after_epoch,
                               .arg = t};
    snprintf(what, sizeof what, "epochs of %s at most", p->name);
    moe_progress_begin(&t->progress, what,
                       t->o.epochs > 0 ? (int)t->o.epochs : p->train_epochs,
                       !t->o.quiet);
    p->train(&env, part, err);
    moe_progress_end(&t->progress);
    if (err->status == MOE_OK)
        say_result(t, part);
    return err->status;
}

static void join_command_line(train_job *t, int argc, char **argv)
{
    char *text = t->learned.command;
    snprintf(text, sizeof t->learned.command, "moegps train");
    for (int i = 1; i < argc; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof t->learned.command - used, " %s", argv[i]);
    }
}

static moe_status train(train_job *t, int argc, char **argv, moe_error *err)
{
    if (check_options(t, err) != MOE_OK ||
        moe_trace_by_name(t->o.trace, &t->trace, err) != MOE_OK)
        return err->status;
    if (moe_learned_new(&t->trace, &t->learned, err) != MOE_OK) {
        moe_error_prefix(err, "--trace %s", t->o.trace);
        return err->status;
    }
    t->learned.kept_bits = (int)t->o.bits;
    join_command_line(t, argc, argv);
    if (resume(t, err) != MOE_OK)
        return err->status;
    for (int i = 0; i < t->n_predictors; i++)
        if (train_one(t, t->predictor[i], err) != MOE_OK)
            return err->status;
    if (write_as(t, t->o.out.path, err) == MOE_OK)
        unlink(t->partial);
    return err->status;
}

int moe_cmd_train(int argc, char **argv)
{
    const sigset_t stop = stop_signals();
    moe_error err = {0};
    bool help = false;
    static train_job t;
    t = (train_job){.o = {.seed = 1, .bits = FULL_BITS},
                    .trace = {.shared = MPI_WIN_NULL},
                    .learned = {.shared = MPI_WIN_NULL}};
    moe_args_old_parse(&args, argc, argv, &t.o, &help, &err);
    if (help)
        return 0;
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (err.status == MOE_OK)
        train(&t, argc, argv, &err);
    moe_learned_free(&t.learned);
    moe_trace_free(&t.trace);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
