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

#include "moegps/ctx.h"

/** Defined by each test file. */
Suite *moe_test_suite(void);

/** All ranks; valid inside tests of programs under tests/parallel. */
extern moe_ctx test_ctx;

/** A folder for this program's scratch files, emptied at start and removed
 *  at the end; the same on all ranks. */
extern char test_dir[256];

#endif
