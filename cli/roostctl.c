/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl, the operator's tool. A command is a noun and a verb, `ipam show`: one row of the table
 * below says what it is called, what it takes, what it does and which function does it; help, the
 * check of options and operands, and the dispatch all come from that row. To add a
 * command: a row here, a function in cli/commands.h, a file of its own.
 *
 * Exit status: 0 fine, 1 the thing asked about is wrong or cannot be had, 2 wrong usage. Answers go
 * to stdout, everything else to stderr. The environment is read here and nowhere else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"

#define STATE_DIR "/run/roost/state"
#define ANY_NUMBER 65536

static const struct command {
	const char *noun, *verb;
	const char *operands; /* for the usage line */
	size_t max_operands;
	unsigned int options; /* besides the global ones */
	int (*run)(const struct options *o);
	const char *summary;
	const char *help;
} commands[] = {
	{"ipam", "show", "", 0, OPTION_IP, ipam_show,
		"pools and their blocks in numbers; one address",
		"Shows the pools this node knows and the blocks it owns: how many addresses are "
		"used,\n"
		"cooling down after their release, reserved for gateways, quarantined, and free.\n"
		"With --ip: who has that address, and since when. Exit 1 when it is in no block "
		"here."},
	{"ipam", "list", "", 0, OPTION_WIDE, ipam_list, "every address that is not simply free",
		"Lists every address that is used, cooling down, reserved or quarantined, with its "
		"pod.\n"
		"For a cooling address that is the pod it had last."},
	{"ipam", "map", "", 0, OPTION_COLOR, ipam_map, "a picture of the blocks, a cell an address",
		"Draws each block of this node with a cell for each address, 64 to a row."},
	{"ipam", "check", "", 0, OPTION_REPAIR, ipam_check,
		"is the node state what the kernel shows?",
		"Compares the node state with links, routes and addresses of this network "
		"namespace:\n"
		"  leaked   an address is recorded for a pod whose host link is gone\n"
		"  missing  a link without record, a pod without route, a block without blackhole "
		"route\n"
		"  foreign  something in our place that is not ours\n"
		"Exit 1 when something is wrong (with --repair: is still wrong)."},
	{"ipam", "release", "[ADDRESS...]", ANY_NUMBER, OPTION_FORCE | OPTION_IDLE_BLOCKS,
		ipam_release, "free addresses by hand, give up idle blocks",
		"Frees addresses: quarantined ones, leaked ones, those of other plugins. An "
		"address whose\n"
		"pod has its host link is refused, unless --force cuts that pod off.\n"
		"With --idle-blocks instead of addresses: gives up the blocks in which nothing is "
		"used,\n"
		"with their blackhole routes, and after the last one the nf_tables table."},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool is_of(const struct command *c, const struct options *o)
{
	return (o->n_words < 1 || strcmp(c->noun, o->words[0]) == 0) &&
	       (o->n_words < 2 || strcmp(c->verb, o->words[1]) == 0);
}

/* All commands, or those of one noun. */
static void print_commands(FILE *f, const struct options *o)
{
	(void)fprintf(f, "usage: roostctl [--state-dir DIR] [-o text|json] COMMAND\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &commands[i];
		char name[40];
		(void)snprintf(name, sizeof(name), "%s %s", c->noun, c->verb);
		if (is_of(c, o))
			(void)fprintf(f, "  %-14s %s\n", name, c->summary);
	}
	(void)fprintf(f, "\n");
	options_print_help(f, OPTIONS_GLOBAL);
	(void)fprintf(f, "\nroostctl COMMAND --help says more about one command.\n");
}

static void print_usage(FILE *f, const struct command *c)
{
	(void)fprintf(f, "usage: roostctl %s %s%s%s [OPTION...]\n", c->noun, c->verb,
		*c->operands ? " " : "", c->operands);
}

static void print_help(const struct command *c)
{
	print_usage(stdout, c);
	(void)printf("\n%s\n\n", c->help);
	options_print_help(stdout, c->options);
	options_print_help(stdout, OPTIONS_GLOBAL);
}

static const struct command *find_command(const struct options *o)
{
	for (size_t i = 0; i < N_COMMANDS && o->n_words >= 2; i++)
		if (is_of(&commands[i], o))
			return &commands[i];
	return NULL;
}

static bool is_noun(const struct options *o)
{
	for (size_t i = 0; i < N_COMMANDS && o->n_words >= 1; i++)
		if (strcmp(commands[i].noun, o->words[0]) == 0)
			return true;
	return false;
}

/* No command was found: help when asked for, else what is wrong and what there is. */
static int explain(const struct options *o)
{
	struct options all = *o;
	all.n_words = is_noun(o) ? 1 : 0;
	if (o->given & OPTION_HELP && o->n_words <= all.n_words) {
		print_commands(stdout, &all);
		return 0;
	}
	if (o->n_words > all.n_words)
		(void)output_complain("unknown command \"%.60s%s%.60s\"", o->words[0],
			all.n_words ? " " : "", all.n_words ? o->words[1] : "");
	else
		(void)output_complain(
			"%s", all.n_words ? "a verb is missing" : "a command is missing");
	print_commands(stderr, &all);
	return 2;
}

static int check_usage(const struct command *c, const struct options *o)
{
	unsigned int wrong = o->given & ~(c->options | OPTIONS_GLOBAL);
	if (!wrong && o->n_words - 2 <= c->max_operands)
		return 0;
	if (wrong)
		(void)output_complain(
			"--%s is no option of %s %s", options_name(wrong), c->noun, c->verb);
	else
		(void)output_complain("%s %s takes no \"%.60s\"", c->noun, c->verb,
			o->words[2 + c->max_operands]);
	print_usage(stderr, c);
	return 2;
}

/* What the command line leaves open. https://no-color.org: set and not empty. */
static void take_environment(struct options *o)
{
	const char *dir = getenv("ROOST_STATE_DIR"), *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	if (!o->state_dir)
		o->state_dir = dir && *dir ? dir : STATE_DIR;
	bool plain = (no_color && *no_color) || (term && strcmp(term, "dumb") == 0);
	if (plain && o->color == OPTIONS_COLOR_AUTO)
		o->color = OPTIONS_COLOR_NEVER;
}

static int dispatch(struct options *o)
{
	const struct command *c = find_command(o);
	if (o->given & OPTION_VERSION) {
		(void)printf("roostctl %s\n", ROOST_VERSION);
		return 0;
	}
	if (!c)
		return explain(o);
	if (o->given & OPTION_HELP) {
		print_help(c);
		return 0;
	}
	take_environment(o);
	int usage = check_usage(c, o);
	return usage ? usage : c->run(o);
}

int main(int argc, char **argv)
{
	struct options o, none = {0};
	struct err e = {0};
	if (options_parse(argc, argv, &o, &e) < 0) {
		(void)output_error(&e);
		print_commands(stderr, &none);
		return 2;
	}
	int status = dispatch(&o);
	if (fflush(stdout) != 0 || ferror(stdout))
		return output_complain("cannot write the answer to stdout");
	return status;
}
