/** commands.h: one function per subcommand; returns the program's exit code */
#ifndef MOEGPS_CLI_COMMANDS_H
#define MOEGPS_CLI_COMMANDS_H

/* argv[0] is the subcommand's name. */

/** Name what there is to choose from, on stdout. Not collective. */
int moe_cmd_list(int argc, char **argv);

/** Say what this machine and this build can do, on stdout. Not collective;
 *  MPI need not be initialised. */
int moe_cmd_doctor(int argc, char **argv);

#endif
