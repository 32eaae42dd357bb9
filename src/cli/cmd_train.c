/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <math.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "moegps/learned.h"
#include "moegps/mem.h"
#include "moegps/predictor.h"
#include "moegps/profile.h"
#include "moegps/progress.h"
#include "moegps/replace.h"
#include "moegps/text.h"
#include "trace.h"

enum { MAX_NAMES = 16 };

typedef struct {
    const char *trace, *predictors, *output;
    uint64_t seed, tokens;
    moe_reals lookahead;
    const char *hidden;
    int epochs, bits; /* epochs 0: the predictor's */
    bool resume, force, quiet;
} settings;

#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_TRACE(NULL, "token trace; only its training part is learned from"),
    MOE_ARGS_PREDICTORS("as in ffn,lstm"),
    MOE_ARGS_OUTPUT("predictors.h5", "FILE", "predictor file"),
    {.key = "seed",
     .type = MOE_OPT_U64,
     .initial = "1",
     .max = 0x1.fffffffffffffp62, /* an int64 in the file */
     AT(seed),
     .help = "of weights, order and validation part"},
    MOE_ARGS_INT("epochs", epochs, "", 1, 100000,
                 "at most; fewer when validation stops getting better; "
                 "default: the predictor's"),
    {.key = "tokens",
     .type = MOE_OPT_U64,
     .initial = "0",
     .max = 1e18,
     AT(tokens),
     .help = "to fit to, at most, in whole sequences; 0: all"},
    {.key = "lookahead",
     .type = MOE_OPT_REALS,
     .initial = "1,2,4",
     .min = 1,
     .max = 4096,
     AT(lookahead),
     .form = "D,...",
     .help = "layers ahead that those who look at earlier layers are trained "
             "for"},
    MOE_ARGS_STRING("hidden", hidden, "", "FILE",
                    "HDF5 file of hidden states, for predictor hidden"),
    MOE_ARGS_INT("bits", bits, "23", 1, 23,
                 "of the 23 of each weight's fraction to keep, which makes the "
                 "file smaller"),
    MOE_ARGS_FLAG("resume", resume,
                  "go on with an interrupted training from FILE.partial"),
    MOE_ARGS_FORCE,
    MOE_ARGS_QUIET,
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps train",
    .example = "moegps train --trace mixtral-8x7b-tokens --predictors ngram -o "
               "predictors.h5",
    .help = "Train predictors on the training part of a token trace. Equal "
            "options make equal files; those with ffn or lstm do where there "
            "are as many threads (OMP_NUM_THREADS), which the file's command "
            "names. Ctrl-C keeps the finished epochs.",
    .rows = rows};

/* Everything a training holds. */
typedef struct {
    settings o;
    moe_trace trace;
    moe_learned learned;
    const moe_predictor *predictor[MAX_NAMES];
    int n_predictors;
    char *hidden; /* that file; owned */
    moe_h5_image hidden_file;
    char partial[1100]; /* where finished epochs are kept */
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
    for (size_t i = 0; moe_predictor_at(i) != NULL; i++)
        if (moe_predictor_at(i)->train != NULL)
            moe_text_add(text, size, ", ", "%s", moe_predictor_at(i)->name);
}

static moe_status find_predictor(train_job *t, const char *name,
                                 const char *known, moe_error *err)
{
    const moe_predictor *p = moe_predictor_find(name);
    if (p == NULL || p->train == NULL)
        return moe_fail(err, MOE_USAGE, "--predictors: '%s' %s (allowed: %s)",
                        name,
                        p == NULL ? "is no predictor"
                                  : "learns from the trace when it runs",
                        known);
    for (int i = 0; i < t->n_predictors; i++)
        if (t->predictor[i] == p)
            return moe_fail(err, MOE_USAGE, "--predictors: '%s' is there twice",
                            name);
    if (t->n_predictors == MAX_NAMES)
        return moe_fail(err, MOE_USAGE, "--predictors: at most %d", MAX_NAMES);
    t->predictor[t->n_predictors++] = p;
    return MOE_OK;
}

/* Also what those rest on, in the order of the registry: bases come first. */
static moe_status add_bases(train_job *t, moe_error *err)
{
    const moe_predictor *asked[MAX_NAMES];
    const int n = t->n_predictors;
    memcpy(asked, t->predictor, sizeof asked);
    t->n_predictors = 0;
    for (size_t r = 0; moe_predictor_at(r) != NULL; r++) {
        bool wanted = false;
        for (int i = 0; i < n; i++)
            for (const moe_predictor *p = asked[i]; p != NULL;
                 p = p->rests_on != NULL ? moe_predictor_find(p->rests_on)
                                         : NULL)
                wanted = wanted || p == moe_predictor_at(r);
        if (wanted && t->n_predictors == MAX_NAMES)
            return moe_fail(err, MOE_USAGE, "--predictors: at most %d",
                            MAX_NAMES);
        if (wanted)
            t->predictor[t->n_predictors++] = moe_predictor_at(r);
    }
    return MOE_OK;
}

static moe_status find_predictors(train_job *t, moe_error *err)
{
    char known[256] = "", *rest = NULL;
    char *names = moe_strdup(t->o.predictors, err);
    list_trainable(known, sizeof known);
    char *name = names != NULL ? strtok_r(names, ",", &rest) : NULL;
    for (; name != NULL && err->status == MOE_OK;
         name = strtok_r(NULL, ",", &rest))
        find_predictor(t, name, known, err);
    free(names);
    if (t->n_predictors == 0)
        moe_fail(err, MOE_USAGE, "--predictors: empty (allowed: %s)", known);
    return err->status == MOE_OK ? add_bases(t, err) : err->status;
}

static moe_status check_options(train_job *t, moe_error *err)
{
    const settings *o = &t->o;
    const int n =
        snprintf(t->partial, sizeof t->partial, "%s.partial", o->output);
    if (n < 0 || (size_t)n >= sizeof t->partial)
        return moe_fail(err, MOE_USAGE, "--output: the path is too long");
    if (o->lookahead.n > MOE_TRAIN_LOOKAHEADS)
        return moe_fail(err, MOE_USAGE, "--lookahead: at most %d",
                        MOE_TRAIN_LOOKAHEADS);
    for (int i = 0; i < o->lookahead.n; i++)
        if (o->lookahead.x[i] > floor(o->lookahead.x[i]))
            return moe_fail(err, MOE_USAGE,
                            "--lookahead: %g is no number of "
                            "layers",
                            o->lookahead.x[i]);
    if (find_predictors(t, err) != MOE_OK ||
        moe_replace_check(o->output, o->force, err) != MOE_OK)
        return err->status;
    if (!o->resume && !o->force && access(t->partial, F_OK) == 0)
        return moe_fail(err, MOE_EXISTS,
                        "%s: an interrupted training; --resume goes on with "
                        "it, --force starts again",
                        t->partial);
    return MOE_OK;
}

static moe_status write_as(const train_job *t, const char *path, bool force,
                           moe_error *err)
{
    moe_replace to;
    if (moe_replace_begin(&to, path, force, err) != MOE_OK)
        return err->status;
    moe_learned_write(to.beside, &t->learned, err);
    return moe_replace_commit(&to, err);
}

static moe_status after_epoch(void *arg, const moe_learned_part *part,
                              moe_error *err)
{
    train_job *t = arg;
    moe_progress_step(&t->progress, part->epochs);
    if (write_as(t, t->partial, true, err) != MOE_OK)
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
    if (t->o.quiet || recall == NULL || top1 == NULL)
        return;
    fprintf(stderr, "moegps: %s: ", part->predictor);
    if (part->epochs_limit > 1)
        fprintf(stderr, "%d epochs, best %d; ", part->epochs,
                part->best_epoch + 1);
    fprintf(stderr, "on the validation part: recall@%d %.4f, ",
            t->learned.top_k, (double)recall[part->best_epoch]);
    if (t->trace.ordered)
        fprintf(stderr, "top-1 %.4f, ", (double)top1[part->best_epoch]);
    fprintf(stderr, "loss %.4f nats per token and layer; CPU time %.0f s\n",
            part->final_loss, part->cpu_s);
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
    moe_train_env env = {.trace = &t->trace,
                         .seed = t->o.seed,
                         .tokens = t->o.tokens,
                         .n_lookaheads = t->o.lookahead.n,
                         .hidden = t->hidden_file,
                         .learned = &t->learned,
                         .epochs = t->o.epochs,
                         .kept_bits = t->o.bits,
                         .epoch = after_epoch,
                         .arg = t};
    for (int i = 0; i < t->o.lookahead.n; i++)
        env.lookahead[i] = (int)t->o.lookahead.x[i];
    snprintf(what, sizeof what, "epochs of %s at most", p->name);
    moe_progress_begin(&t->progress, what,
                       t->o.epochs > 0 ? t->o.epochs : p->train_epochs,
                       !t->o.quiet);
    moe_predictor_train(p, &env, part, err);
    moe_progress_end(&t->progress);
    if (err->status == MOE_OK)
        say_result(t, part);
    return err->status;
}

static moe_status train(train_job *t, const char *line, moe_error *err)
{
    if (check_options(t, err) != MOE_OK ||
        moe_trace_by_name(t->o.trace, &t->trace, err) != MOE_OK)
        return err->status;
    if (moe_learned_new(&t->trace, &t->learned, err) != MOE_OK) {
        moe_error_prefix(err, "--trace %s", t->o.trace);
        return err->status;
    }
    if (t->o.hidden != NULL &&
        moe_read_bytes(t->o.hidden, &t->hidden, &t->hidden_file.bytes, err) !=
            MOE_OK)
        return err->status;
    t->hidden_file.path = t->o.hidden;
    t->hidden_file.data = t->hidden;
    t->learned.kept_bits = t->o.bits;
    snprintf(t->learned.command, sizeof t->learned.command,
             "OMP_NUM_THREADS=%d %s", omp_get_max_threads(),
             line != NULL ? line : "");
    if (resume(t, err) != MOE_OK)
        return err->status;
    for (int i = 0; i < t->n_predictors; i++)
        if (train_one(t, t->predictor[i], err) != MOE_OK)
            return err->status;
    if (write_as(t, t->o.output, t->o.force, err) == MOE_OK)
        unlink(t->partial);
    return err->status;
}

int moe_cmd_train(int argc, char **argv)
{
    const sigset_t stop = stop_signals();
    moe_error err = {0};
    static train_job t;
    t = (train_job){.trace = {.shared = MPI_WIN_NULL},
                    .learned = {.shared = MPI_WIN_NULL}};
    char *line = moe_args_line(&args, argc, argv);
    if (moe_args_parse(&args, argc, argv, &t.o, &err)) {
        sigprocmask(SIG_BLOCK, &stop, NULL);
        train(&t, line, &err);
    }
    free(line);
    free(t.hidden);
    moe_learned_free(&t.learned);
    moe_trace_free(&t.trace);
    return moe_args_end(&args, &t.o, &err);
}
