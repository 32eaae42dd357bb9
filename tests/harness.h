/** harness.h: one main() for every test program.
 *
 *  A test file defines moe_test_suite() with Check. Programs under
 *  tests/parallel run under mpirun without forking: agree first, assert
 *  after, as an assert that fails on one rank before a collective hangs the
 *  others. The outcome of a test is the worst over ranks; rank 0 prints TAP.
 */
#ifndef MOEGPS_TESTS_HARNESS_H
#define MOEGPS_TESTS_HARNESS_H

#include <check.h>
#include <stdlib.h>

#include "moegps/ctx.h"

/* Add a test, or a test per row of a table; the test's name is what TAP
 * prints, so each gets a case of its own. */
#define MOE_TEST(suite, fn) MOE_TEST_LOOP(suite, fn, 1)
#define MOE_TEST_LOOP(suite, fn, n)                \
    do {                                           \
        TCase *tc_ = tcase_create(#fn);            \
        tcase_set_timeout(tc_, 120);               \
        tcase_add_loop_test(tc_, fn, 0, (int)(n)); \
        suite_add_tcase(suite, tc_);               \
    } while (0)

/* The same for tests of programs under tests/parallel that do not depend on the
 * number of ranks: only on the first of RANKS, see run.sh. */
#define MOE_TEST_ONCE(suite, fn) MOE_TEST_LOOP_ONCE(suite, fn, 1)
#define MOE_TEST_LOOP_ONCE(suite, fn, n)   \
    do {                                   \
        if (getenv("TESTS_AGAIN") == NULL) \
            MOE_TEST_LOOP(suite, fn, n);   \
    } while (0)

/** Say that tests were left out: what of, and why. Call it from
 *  moe_test_suite(). */
void test_skip(const char *name, const char *why);

/** Defined by each test file. */
Suite *moe_test_suite(void);

/** All ranks; valid inside tests of programs under tests/parallel. */
extern moe_ctx test_ctx;

/** A folder for this program's scratch files, emptied at start and removed
 *  at the end; the same on all ranks. */
extern char test_dir[256];

#endif
