/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "calibrate.h"
#include "moegps/cluster.h"
#include "moegps/launched.h"
#include "moegps/profile.h"
#include "moegps/replace.h"
#include "moegps/silicon_update.h"

#define AT(member) MOE_OPT_AT(moe_calibrate_settings, member)
static const char *const ops[] = {"auto",       "alltoall",       "all_reduce",
                                  "all_gather", "reduce_scatter", NULL};
static const moe_opt rows[] = {
    MOE_ARGS_OUTPUT(NULL, "TABLES.h5",
                    "tables; the profile that uses them is written beside "
                    "them, as TABLES.yaml"),
    MOE_ARGS_STRING("profile", profile, NULL, "FILE|NAME",
                    "of the cluster that was measured"),
    MOE_ARGS_FLAG("mpi", mpi,
                  "measure the exchange and the collectives of this machine "
                  "instead, by MPI, as runs do them: start with mpirun -n N"),
    MOE_ARGS_WORD("op", op, "auto", ops,
                  "collective that a file is of, where it does not say"),
    MOE_ARGS_INT("ranks", measured.ranks, "0", 0, 1 << 20,
                 "GPUs that took part in a collective, where a file does not "
                 "say; 0: it says"),
    MOE_ARGS_STRING("model", model, "", "FILE|NAME",
                    "whose experts a fused kernel computed"),
    MOE_ARGS_INT("ep", measured.ep, "1", 1, 4096, "GPUs that shared them"),
    MOE_ARGS_FLAG("add", add,
                  "keep what TABLES.h5 has from before, and replace only what "
                  "is measured anew; without, tables begin as bundled"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt arguments[] = {
    {.key = "FILE", .type = MOE_OPT_STRINGS, .initial = "", AT(files)},
    {.key = NULL}};
#undef AT

static const moe_args args = {
    .name = "moegps calibrate",
    .help = "Make tables and a profile of a cluster's own measurements, which "
            "`cost: silicon` then prices by: what nccl-tests, OSU, DeepEP's "
            "tests and fused-MoE benchmarks print, or CSV in the columns of "
            "`cost` with latency_us. What was not measured stays as bundled. "
            "Says how far each row is from the price that the others make.",
    .rows = rows,
    .arguments = arguments};

/* ---- the profile ---- */

/* The path of the profile: TABLES.yaml for TABLES.h5. */
static void profile_path(const char *tables, char *path, size_t size)
{
    const char *dot = strrchr(tables, '.'), *slash = strrchr(tables, '/');
    const bool suffix = dot != NULL && (slash == NULL || dot > slash);
    snprintf(path, size, "%.*s.yaml",
             suffix ? (int)(dot - tables) : (int)strlen(tables), tables);
}

/* Keys of the profile that are written anew. */
static bool is_replaced(const char *line)
{
    return strncmp(line, "tables:", 7) == 0 || strncmp(line, "cost:", 5) == 0;
}

static void write_profile(const moe_calibrate_settings *s, const char *text,
                          moe_error *err)
{
    char path[4096];
    moe_replace to;
    const char *slash = strrchr(s->output, '/');
    profile_path(s->output, path, sizeof path);
    FILE *out = moe_replace_open(&to, path, s->force || s->add, err);
    if (out == NULL)
        return;
    for (const char *line = text; *line != '\0';) {
        const size_t n = strcspn(line, "\n");
        if (!is_replaced(line))
            fprintf(out, "%.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    const char *name = slash != NULL ? slash + 1 : s->output;
    const char *quote = name[strcspn(name, " :#")] != '\0' ? "\"" : "";
    fprintf(out, "cost: silicon\ntables: %s%s%s   # by moegps calibrate\n",
            quote, name, quote);
    if (moe_replace_close(&to, out, err) == MOE_OK)
        printf("written: %s, %s\n", s->output, path);
}

/* ---- the command ---- */

static void print(const char *what, const moe_remarks *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        printf("%s%s\n", what, lines->text[i]);
}

/* Tables of the rows, beside their name until they are whole. */
static void write_tables(const moe_calibrate_settings *s, moe_measurements *m,
                         moe_error *err)
{
    moe_replace to;
    moe_remarks said = {0};
    const bool there = access(s->output, F_OK) == 0;
    if (moe_replace_begin(&to, s->output, s->force || s->add, err) != MOE_OK)
        return;
    moe_silicon_update(s->add ? s->output : NULL, to.beside, m, &said, err);
    if (there && !s->add)
        moe_remark(&said,
                   "%s: what was calibrated there before is gone (--add keeps "
                   "it)",
                   s->output);
    if (err->status == MOE_OK)
        moe_silicon_update_errors(to.beside, m, &said, err);
    moe_replace_commit(&to, err);
    if (err->status == MOE_OK) {
        print("read ", &m->said);
        print("", &said);
    }
    moe_remarks_fini(&said);
}

void moe_calibrate_write(moe_calibrate_settings *s, moe_measurements *m,
                         moe_error *err)
{
    char path[1024];
    char *text =
        moe_profile_read("clusters", s->profile, path, sizeof path, err);
    if (text != NULL && err->status == MOE_OK)
        write_tables(s, m, err);
    if (err->status == MOE_OK)
        write_profile(s, text, err);
    free(text);
}

moe_status moe_calibrate_check(moe_calibrate_settings *s, moe_error *err)
{
    char path[4096];
    profile_path(s->output, path, sizeof path);
    if (s->output[0] == '\0' || strcmp(s->output, "-") == 0 ||
        strcmp(s->output, path) == 0 || strpbrk(s->output, "\"'\n") != NULL)
        return moe_fail(err, MOE_USAGE,
                        "--output: '%.200s' cannot be a file of tables: its "
                        "name ends in .h5, as the profile beside it ends in "
                        ".yaml, and has no quotes",
                        s->output);
    if (s->add && access(s->output, F_OK) != 0)
        return moe_fail(err, MOE_USAGE, "--add: there are no tables %s yet",
                        s->output);
    moe_replace_check(s->output, s->force || s->add, err);
    moe_replace_check(path, s->force || s->add, err);
    if (s->mpi && s->files.n > 0)
        moe_fail(err, MOE_USAGE, "--mpi measures; files go without it");
    if (!s->mpi && s->files.n == 0)
        moe_fail(err, MOE_USAGE, "a FILE of measurements is needed, or --mpi");
    if (err->status != MOE_OK ||
        moe_cluster_read(s->profile, &s->cluster, err) != MOE_OK)
        return err->status;
    const moe_cluster *c = &s->cluster;
    s->measured.gpu = c->tables_gpu[0] != '\0' ? c->tables_gpu : c->gpu;
    s->measured.stack = c->stack;
    s->measured.op = s->op > 0 ? ops[s->op] : NULL;
    if (s->model != NULL && moe_model_read(s->model, &s->m, err) == MOE_OK)
        s->measured.model = &s->m;
    return err->status;
}

static void calibrate(moe_calibrate_settings *s, moe_error *err)
{
    moe_measurements m = {0};
    for (int i = 0; i < s->files.n && err->status == MOE_OK; i++)
        moe_measured_read(s->files.text[i], &s->measured, &m, err);
    if (err->status == MOE_OK)
        moe_calibrate_write(s, &m, err);
    moe_measurements_fini(&m);
}

/* Under mpirun: all ranks are told the same, and rank 0 speaks. */
static int calibrate_mpi(int argc, char **argv)
{
    int provided = 0;
    moe_ctx ctx;
    moe_args mine = args;
    moe_calibrate_settings s = {.op = 0};
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    mine.silent = ctx.rank != 0;
    moe_status status = MOE_OK;
    if (moe_args_parse(&mine, argc, argv, &s, &ctx.err))
        status = moe_calibrate_mpi(&ctx, &s);
    else
        status = ctx.err.status;
    if (status != MOE_OK && ctx.rank == 0)
        fprintf(stderr, "moegps: %s\n", ctx.err.text);
    moe_opt_release(rows, &s);
    moe_opt_release(arguments, &s);
    moe_ctx_fini(&ctx);
    fflush(stdout);
    MPI_Finalize();
    return moe_status_exit_code(status);
}

/* Files are read by one process. @return whether a launcher started several. */
static bool refuse_ranks(moe_error *err)
{
    if (moe_launched_ranks() < 2)
        return false;
    moe_fail(err, MOE_USAGE,
             "calibrate: files are read by one process: start it without "
             "mpirun or srun (--mpi measures with all ranks)");
    if (moe_launched_rank() == 0)
        fprintf(stderr, "moegps: %s\n", err->text);
    else
        *err = (moe_error){0}; /* a launcher that sees a failure ends rank 0 */
    return true;
}

int moe_cmd_calibrate(int argc, char **argv)
{
    moe_error err = {0};
    moe_calibrate_settings s = {.op = 0};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--mpi") == 0)
            return calibrate_mpi(argc, argv);
    if (refuse_ranks(&err))
        return moe_status_exit_code(err.status);
    if (moe_args_parse(&args, argc, argv, &s, &err) &&
        moe_calibrate_check(&s, &err) == MOE_OK)
        calibrate(&s, &err);
    return moe_args_end(&args, &s, &err);
}
