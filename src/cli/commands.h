/** commands.h: one function per subcommand; returns the program's exit code.
 *
 *  argv[0] is the subcommand's name. Only `run` uses MPI; the others are
 *  ordinary programs.
 */
#ifndef MOEGPS_CLI_COMMANDS_H
#define MOEGPS_CLI_COMMANDS_H

/** Run an experiment. Collective: under mpirun or srun. */
int moe_cmd_run(int argc, char **argv);

/** Train predictors; uses OpenMP threads. */
int moe_cmd_train(int argc, char **argv);

/** Show, make, cut and convert traces. */
int moe_cmd_trace(int argc, char **argv);

/** Show result files as tables, CSV or JSON. */
int moe_cmd_report(int argc, char **argv);

/** Compare two result files. */
int moe_cmd_compare(int argc, char **argv);

/** Bring runs into one file. */
int moe_cmd_merge(int argc, char **argv);

/** Price operations from the measured tables. */
int moe_cmd_cost(int argc, char **argv);

/** Say how good predictors are and what they cost. */
int moe_cmd_evaluate(int argc, char **argv);

/** Recommend a strategy from modelled layer times. */
int moe_cmd_advise(int argc, char **argv);

/** Sweep skewness and bandwidth for the winning strategy. */
int moe_cmd_map(int argc, char **argv);

/** Make tables of measurements. */
int moe_cmd_calibrate(int argc, char **argv);

/** Plan replicas for given loads. */
int moe_cmd_plan(int argc, char **argv);

/** Name what there is to choose from. */
int moe_cmd_list(int argc, char **argv);

/** Say what this machine and this build can do. */
int moe_cmd_doctor(int argc, char **argv);

#endif
