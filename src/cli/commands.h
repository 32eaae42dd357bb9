/** commands.h: the subcommands of moegps. */
#ifndef MOEGPS_CLI_COMMANDS_H
#define MOEGPS_CLI_COMMANDS_H

/** one function per subcommand; returns the program's exit code */
int moe_cmd_trace(int argc, char **argv);

#endif
