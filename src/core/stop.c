/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/stop.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "moegps/clock.h"
#include "moegps/mem.h"

/* Signals belong to the process, so their marks are the one thing here that
 * cannot live in a ctx. Larger reasons win over ranks. */
enum { NO_REASON, TIME_LIMIT, SIGNAL_USR1, SIGNAL_INT, SIGNAL_TERM };

static const struct {
    int number, reason;
} signals[] = {
    {SIGTERM, SIGNAL_TERM}, {SIGINT, SIGNAL_INT}, {SIGUSR1, SIGNAL_USR1}};

static volatile sig_atomic_t caught;
static double end_s; /* CLOCK_MONOTONIC; 0: no limit */

static void on_signal(int number)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(signals); i++)
        if (signals[i].number == number)
            caught = signals[i].reason;
}

static sigset_t all_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < MOE_ARRAY_LEN(signals); i++)
        sigaddset(&set, signals[i].number);
    return set;
}

/* A signal that no thread takes waits here. */
static int pending(void)
{
    sigset_t set;
    if (sigpending(&set) != 0)
        return NO_REASON;
    for (size_t i = 0; i < MOE_ARRAY_LEN(signals); i++)
        if (sigismember(&set, signals[i].number))
            return signals[i].reason;
    return NO_REASON;
}

void moe_stop_arm(double max_time_s)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    caught = 0;
    end_s = max_time_s > 0 ? moe_clock_wall() + max_time_s : 0;
    for (size_t i = 0; i < MOE_ARRAY_LEN(signals); i++)
        sigaction(signals[i].number, &action, NULL);
    /* Kernels of oneDNN do not survive a handler on their stack: this thread
     * and those that it makes wait for the signal instead. The handler is for
     * threads that MPI has made before. */
    const sigset_t set = all_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

const char *moe_stop_asked(const moe_ctx *ctx, double ahead_s, bool *hurry_out)
{
    static const char *const reasons[] = {
        [NO_REASON] = NULL,        [TIME_LIMIT] = "--max-time",
        [SIGNAL_USR1] = "SIGUSR1", [SIGNAL_INT] = "SIGINT",
        [SIGNAL_TERM] = "SIGTERM",
    };
    int reason = caught != NO_REASON ? caught : pending();
    if (reason == NO_REASON && end_s > 0 && moe_clock_wall() + ahead_s > end_s)
        reason = TIME_LIMIT;
    MOE_MPI(
        MPI_Allreduce(MPI_IN_PLACE, &reason, 1, MPI_INT, MPI_MAX, ctx->comm));
    *hurry_out = reason >= SIGNAL_INT;
    return reasons[reason];
}
