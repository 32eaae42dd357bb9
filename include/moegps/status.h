/** status.h: what can go wrong, as one value and one sentence.
 *
 *  Every fallible function returns a moe_status. The function that detects
 *  the error writes the sentence into a moe_error with moe_fail(); callers
 *  only pass the status up. 0 is success and larger is worse, so that the
 *  maximum over ranks is the outcome of all of them.
 */
#ifndef MOEGPS_STATUS_H
#define MOEGPS_STATUS_H

#include <stdbool.h>

/* X(name, exit code of the program, what it means) */
#define MOE_STATUS_MAP(X)                                                   \
    X(OK, 0, "success")                                                     \
    X(INTERRUPTED, 75, "stopped early, the file is readable and resumable") \
    X(THRESHOLD, 4, "a --fail-if threshold was missed")                     \
    X(INVALID, 3, "validation failed")                                      \
    X(USAGE, 2, "usage or configuration error")                             \
    X(FORMAT, 2, "malformed file")                                          \
    X(MISMATCH, 2, "inputs that do not belong together")                    \
    X(EXISTS, 2, "output exists")                                           \
    X(IO, 1, "input or output failed")                                      \
    X(NOMEM, 1, "out of memory")                                            \
    X(LIBRARY, 1, "a library call failed")                                  \
    X(INJECTED, 1, "injected fault")

typedef enum moe_status {
#define MOE_STATUS_ENUM(name, code, text) MOE_##name,
    MOE_STATUS_MAP(MOE_STATUS_ENUM)
#undef MOE_STATUS_ENUM
        MOE_N_STATUS
} moe_status;

enum { MOE_ERROR_LEN = 512 }; /* bytes of an error sentence, with its NUL */

/** The first error of a chain of calls. Zero-initialised means no error. */
typedef struct moe_error {
    moe_status status;
    char text[MOE_ERROR_LEN];
} moe_error;

/** Record an error unless one is recorded already; the first one explains.
 *  Not collective. A sentence too long for a moe_error is cut.
 *  @param err  may be NULL: then only the status is returned.
 *  @return the status now in force: the recorded one, else `status`. */
moe_status moe_fail(moe_error *err, moe_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Pass on an error that was recorded apart, so that a caller's own record is
 *  written only by the call that failed. Not collective.
 *  @param err    may be NULL.
 *  @param local  MOE_OK: nothing is recorded.
 *  @return MOE_OK if `local` is; else as moe_fail(). */
moe_status moe_pass(moe_error *err, const moe_error *local);

/** Put `fmt...: ` in front of a recorded error. No-op without an error.
 *  Where both do not fit, the prefix is cut first, to no less than a quarter
 *  of MOE_ERROR_LEN, then the end of the sentence. */
void moe_error_prefix(moe_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** @return what the status means, static storage. */
const char *moe_status_text(moe_status status);

/** @return the exit code of the program for this status (README, Exit codes). */
int moe_status_exit_code(moe_status status);

#endif
