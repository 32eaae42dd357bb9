/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <dlfcn.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/h5.h"

moe_ctx test_ctx;
char test_dir[256];

#ifdef __SANITIZE_ADDRESS__
/* Open MPI unloads its plugins before leaks are looked for: what they still
 * hold then seems to be lost by nobody. So they stay; leaks in them have a
 * name that tests/lsan.supp can tell from ours. */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
#endif

static int n_skipped;

void test_skip(const char *name, const char *why)
{
    if (test_ctx.rank == 0)
        printf("ok - %s # SKIP %s\n", name, why);
    n_skipped++;
}

/* Merge the outcome of every test over ranks and print it as TAP. */
static int report(TestResult **results, int n, bool parallel)
{
    int failed = 0;
    for (int i = 0; i < n; i++) {
        int bad = tr_rtype(results[i]) != CK_PASS, worst = bad;
        if (parallel)
            MPI_Allreduce(&bad, &worst, 1, MPI_INT, MPI_MAX, test_ctx.comm);
        failed += worst;
        if (bad)
            fprintf(stderr, "# rank %d: %s: %s:%d: %s\n", test_ctx.rank,
                    tr_tcname(results[i]), tr_lfile(results[i]),
                    tr_lno(results[i]), tr_msg(results[i]));
        if (test_ctx.rank == 0)
            printf("%s - %s\n", worst ? "not ok" : "ok", tr_tcname(results[i]));
    }
    return failed;
}

static void make_dir(bool parallel)
{
    if (test_ctx.rank == 0) {
        snprintf(test_dir, sizeof test_dir, "%s/moegps-test-XXXXXX",
                 getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
        if (mkdtemp(test_dir) == NULL)
            abort();
    }
    if (parallel)
        MPI_Bcast(test_dir, sizeof test_dir, MPI_CHAR, 0, test_ctx.comm);
}

static void remove_dir(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", test_dir);
    if (test_ctx.rank == 0 && system(command) != 0)
        fprintf(stderr, "# cannot remove %s\n", test_dir);
}

int main(int argc, char **argv)
{
    bool parallel = strstr(argv[0], "/parallel/") != NULL;
    if (parallel) {
        MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &(int){0});
        moe_ctx_init(&test_ctx, MPI_COMM_WORLD);
    }
    moe_h5_quiet();
    make_dir(parallel);
    SRunner *runner = srunner_create(moe_test_suite());
    if (parallel)
        srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    TestResult **results = srunner_results(runner);
    int n = srunner_ntests_run(runner);
    int failed = report(results, n, parallel);
    if (test_ctx.rank == 0)
        printf("1..%d\n", n + n_skipped);
    free(results);
    srunner_free(runner);
    remove_dir();
    if (parallel) {
        moe_ctx_fini(&test_ctx);
        fflush(stdout); /* mpirun kills the others when one rank has failed */
        MPI_Finalize();
    }
    return failed > 0;
}
